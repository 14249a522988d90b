// Reads the time strip of the test pattern: 2 rows of 40 cells in the top twelfth of a picture, the most significant bit
// first: 1010, 40 bits of time (100 µs, Unix, wrapped), 16 of counter, 8 of tag, 12 of checksum over the 68 bits before it.

export const columns = 40;
export const rows = 2;

const threshold = 128;
const timeBits = 40;

/** The strip in the mean luma of each cell, row by row; undefined where there is no valid one. */
export function decodeCells(cells) {
  const bits = cells.map((v) => (v >= threshold ? 1 : 0));
  const take = (from, count) => bits.slice(from, from + count).reduce((v, bit) => v * 2 + bit, 0);
  if (bits.length !== columns * rows || take(0, 4) !== 0b1010 || take(68, 12) !== checksum(bits.slice(0, 68))) return undefined;
  return { time: take(4, timeBits), counter: take(44, 16), tag: take(60, 8) };
}

/** CRC-12 (0x80F), initial value 0, not reflected. */
export function checksum(bits) {
  let c = 0;
  for (const bit of bits) {
    const top = (c >> 11) & 1;
    c = (c << 1) & 0xfff;
    if (top !== bit) c ^= 0x80f;
  }
  return c;
}

/** How many milliseconds before unixMillis the strip was drawn. */
export function ageMillis(strip, unixMillis) {
  const wrap = 2 ** timeBits;
  let d = (((Math.round(unixMillis * 10) - strip.time) % wrap) + wrap) % wrap;
  if (d >= wrap / 2) d -= wrap;
  return d / 10;
}
