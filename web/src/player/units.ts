// Times carry their unit in the type. Both are plain numbers when the program runs.

declare const unit: unique symbol;

/** Microseconds: the wire's unit. Which clock they belong to is said by the name that holds them. */
export type Micros = number & { readonly [unit]: "us" };

/** Milliseconds: the browser's unit. */
export type Millis = number & { readonly [unit]: "ms" };

export const micros = (n: number): Micros => n as Micros;
export const millis = (n: number): Millis => n as Millis;
export const toMillis = (us: Micros): Millis => millis(us / 1000);

/**
 * The local clock: microseconds since the Unix epoch as this browsing context counts them. It is monotonic, and the same in
 * a page and in its workers; Date.now() is neither.
 */
export const localNow = (): Micros => micros((performance.timeOrigin + performance.now()) * 1000);
