/** FNV-1a: the same on every replica. */
export function hashOf(text: string): number {
  let value = 0x81_1c_9d_c5;
  for (const character of text) {
    value = Math.imul(value ^ character.codePointAt(0)!, 0x01_00_01_93);
  }
  return value >>> 0;
}

/** 0 ≤ x < 1, the same for the same text: spreads what would otherwise all be due at once. */
export const shareOf = (text: string): number => hashOf(text) / 2 ** 32;
