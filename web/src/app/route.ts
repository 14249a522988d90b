// Addresses of the pages, and the one-time code that may come behind the #. Pure.

import { t } from "./strings.ts";

export type Route = { readonly page: "wall" } | { readonly page: "admin"; readonly path: string } | { readonly page: "watch" | "publish"; readonly stream: string };

const pages = ["watch", "publish"] as const;

export function routeOf(path: string): Route {
  if (/^\/admin(\/|$)/.test(path)) return { page: "admin", path: path.replace(/\/$/, "") };
  const page = pages.find((p) => path.startsWith(`/${p}/`));
  if (page === undefined) return { page: "wall" };
  try {
    const stream = decodeURIComponent(path.slice(page.length + 2)).replace(/\/+$/, "");
    return stream === "" ? { page: "wall" } : { page, stream };
  } catch {
    return { page: "wall" }; // a broken escape names no stream
  }
}

const namePart = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const longestName = 255;

/** What is wrong with a new stream's name, in a sentence; empty when nothing is. */
export function nameProblem(name: string): string {
  if (name === "") return t.naming.missing;
  if (name.length > longestName) return t.naming.tooLong(longestName);
  if (name.split("/").every((part) => namePart.test(part))) return "";
  return t.naming.rule;
}

/** Stream names may hold slashes, which stay slashes. */
const escaped = (stream: string): string => stream.split("/").map(encodeURIComponent).join("/");

export const watchPath = (stream: string): string => `/watch/${escaped(stream)}`;
export const publishPath = (stream: string): string => `/publish/${escaped(stream)}`;
export const socketPath = (stream: string): string => `/ws/watch/${escaped(stream)}`;
export const publishSocketPath = (stream: string): string => `/ws/publish/${escaped(stream)}`;

/** Whether a host's name is one by which every machine calls itself, so that a link to it leads nowhere from another. */
export const isThisMachine = (hostname: string): boolean => /^(localhost$|127\.|\[::1\])/.test(hostname);

/** The code in what was pasted or stands in the address: bare, behind a #, or in a whole link. */
export function codeIn(pasted: string): string {
  const trimmed = pasted.trim();
  return trimmed.slice(trimmed.indexOf("#") + 1).trim();
}

const invitation = "invite.";

/** The set-up code of an account in a code that codeIn found; undefined where it is one that logs in. */
export const setUpCodeIn = (code: string): string | undefined => (code.startsWith(invitation) ? code.slice(invitation.length) : undefined);
