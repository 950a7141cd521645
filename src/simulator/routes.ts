/** An operation found for a path, with the values of its template's `{…}` parts in order. */
export interface Route<T> {
  template: string;
  parameters: string[];
  /** By method. */
  methods: Map<string, T>;
}

interface Node<T> {
  fixed: Map<string, Node<T>>;
  parameter: Node<T> | null;
  template: string;
  methods: Map<string, T>;
}

function emptyNode<T>(): Node<T> {
  return { fixed: new Map(), parameter: null, template: '', methods: new Map() };
}

/** Finds operations by path; fixed parts win over `{…}`, and case and trailing slashes matter. */
export class Routes<T> {
  readonly #root = emptyNode<T>();

  constructor(operations: ReadonlyArray<T & { method: string; template: string }>) {
    for (const operation of operations) {
      const node = this.#nodeFor(operation.template);
      node.template = operation.template;
      node.methods.set(operation.method, operation);
    }
  }

  /** Null when no operation has this path, whatever the method. */
  find(path: string): Route<T> | null {
    const parameters: string[] = [];
    let node = this.#root;
    for (const part of path.split('/').slice(1)) {
      const fixed = node.fixed.get(part);
      if (fixed !== undefined) {
        node = fixed;
      } else if (node.parameter !== null && part !== '') {
        parameters.push(part);
        node = node.parameter;
      } else {
        return null;
      }
    }
    if (node.methods.size === 0) return null;
    return { template: node.template, parameters, methods: node.methods };
  }

  #nodeFor(template: string): Node<T> {
    let node = this.#root;
    for (const part of template.split('/').slice(1)) {
      if (part.startsWith('{')) {
        node.parameter ??= emptyNode<T>();
        node = node.parameter;
      } else {
        let next = node.fixed.get(part);
        if (next === undefined) node.fixed.set(part, (next = emptyNode<T>()));
        node = next;
      }
    }
    return node;
  }
}
