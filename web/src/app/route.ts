// Addresses of the pages, and the one-time code that may come behind the #. Pure.

export type Route = { readonly page: "wall" } | { readonly page: "watch"; readonly stream: string };

const watch = "/watch/";

export function routeOf(path: string): Route {
  if (!path.startsWith(watch)) return { page: "wall" };
  try {
    const stream = decodeURIComponent(path.slice(watch.length)).replace(/\/+$/, "");
    return stream === "" ? { page: "wall" } : { page: "watch", stream };
  } catch {
    return { page: "wall" }; // a broken escape names no stream
  }
}

/** Stream names may hold slashes, which stay slashes. */
const escaped = (stream: string): string => stream.split("/").map(encodeURIComponent).join("/");

export const watchPath = (stream: string): string => watch + escaped(stream);
export const socketPath = (stream: string): string => `/ws/watch/${escaped(stream)}`;

/** The code in what was pasted or stands in the address: bare, behind a #, or in a whole link. */
export function codeIn(pasted: string): string {
  const trimmed = pasted.trim();
  return trimmed.slice(trimmed.indexOf("#") + 1).trim();
}
