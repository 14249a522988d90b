// Reads the time strip of the test pattern: 2 rows of 40 cells in the top twelfth of a picture, the most significant bit
// first: 1010, 40 bits of time (100 µs, Unix, wrapped), 16 of counter, 8 of tag, 12 of checksum over the 68 bits before it.

const columns = 40;
const rows = 2;

const threshold = 128;
const timeBits = 40;

/** The strip in a luma plane of w by h pixels; undefined where there is no valid one. Each cell is judged by its middle half, both ways. */
export function readStrip(plane, w, h) {
  const bits = [];
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < columns; col++) {
      const [x0, x1] = [Math.floor((col * w) / columns), Math.floor(((col + 1) * w) / columns)];
      const [y0, y1] = [Math.floor((row * h) / 24), Math.floor(((row + 1) * h) / 24)];
      const [qx, qy] = [(x1 - x0) >> 2, (y1 - y0) >> 2];
      bits.push(mean(plane, w, x0 + qx, y0 + qy, x1 - qx, y1 - qy) >= threshold ? 1 : 0);
    }
  }
  const take = (from, count) => bits.slice(from, from + count).reduce((v, bit) => v * 2 + bit, 0);
  if (take(0, 4) !== 0b1010 || take(68, 12) !== checksum(bits.slice(0, 68))) return undefined;
  return { time: take(4, timeBits), counter: take(44, 16), tag: take(60, 8) };
}

/** The mean of the part of a plane, w wide, from x0,y0 up to but without x1,y1. */
export function mean(plane, w, x0, y0, x1, y1) {
  let [sum, count] = [0, 0];
  for (let y = Math.floor(y0); y < Math.floor(y1); y++) {
    for (let x = Math.floor(x0); x < Math.floor(x1); x++) {
      sum += plane[y * w + x];
      count++;
    }
  }
  return sum / count;
}

/** CRC-12 (0x80F), initial value 0, not reflected. */
function checksum(bits) {
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
