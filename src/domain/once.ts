/**
 * Derived once of each object: whoever asks again with the very same one gets what was derived then. Objects are
 * never changed after they were made, so that what is derived of them stays true.
 */
export function oncePer<From extends object, T>(derive: (from: From) => T): (from: From) => T {
  const derived = new WeakMap<From, { value: T }>();
  return (from) => {
    let known = derived.get(from);
    if (known === undefined) derived.set(from, (known = { value: derive(from) }));
    return known.value;
  };
}
