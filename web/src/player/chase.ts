// How a <video> that plays by its file's times is kept at the newest picture. Pure: times are arguments, in seconds as the element
// has them.

/** What is buffered ahead of the playhead, and the speed at which to play it. */
const speeds = [
  { ahead: 0.25, speed: 1.5 },
  { ahead: 0.1, speed: 1.1 },
  { ahead: 0.03, speed: 1 },
] as const;
/** Nothing is left to play soon. */
const slow = 0.9;
/** More than this is not played at all. */
const tooFar = 1;

export const speed = (ahead: number): number => speeds.find((s) => ahead > s.ahead)?.speed ?? slow;

/** Where to go on instead, if to play on would be to play what is old; "key" when there is no keyframe ahead to go on from. */
export function jump(playhead: number, end: number, keys: readonly number[]): number | "key" | undefined {
  if (end - playhead <= tooFar) return undefined;
  const newest = keys.at(-1);
  return newest === undefined || newest <= playhead ? "key" : newest;
}

/** What is to be kept behind the playhead. */
const kept = 1;

/** Everything before this keyframe may be thrown away; undefined where that is nothing. A browser throws away up to a keyframe only. */
export const disposable = (playhead: number, keys: readonly number[]): number | undefined => keys.findLast((k) => k <= playhead - kept);
