// The server's control API as the pages use it. Answers are checked at this door.

import { language } from "../language.ts";
import { t } from "./strings.ts";

/** What one may watch, as GET /api/v1/streams lists it. */
export interface Stream {
  readonly id: string;
  readonly state: string;
  readonly detail: string;
  readonly viewers: number;
  /** The kind of its source, and what confines it; empty while nobody publishes. */
  readonly source: string;
  readonly sandbox: string;
  readonly groups: readonly string[];
  readonly renditions: readonly Rendition[];
}

export interface Rendition {
  readonly width: number;
  readonly height: number;
  readonly encoder: string;
}

/** What one logs in by: a link's code, a name with its password, or an account's set-up code with the password that it shall have. */
export type Credentials =
  | { readonly code: string }
  | { readonly name: string; readonly password: string }
  | { readonly code: string; readonly password: string };

/** Who is logged in. */
export interface Self {
  readonly subject: string;
  readonly expires: Date;
  readonly admin: boolean;
  /** Whether renewLogin works. */
  readonly renews: boolean;
}

/** Something that runs with somebody's leave. */
export interface Session {
  readonly id: string;
  /** "watch", "publish" and the like. */
  readonly kind: string;
  readonly stream: string;
  readonly subject: string;
  readonly remote: string;
  readonly since: Date;
  /** How a viewer fares; undefined for what has not said so lately. */
  readonly figures: Figures | undefined;
}

/** How a viewer fares, in its own words but for the rendition and what limits it. */
export interface Figures {
  readonly rendition: string;
  /** "network", "size", "shared", or empty. */
  readonly limit: string;
  /** Whether its network carries still pictures alone. */
  readonly stills: boolean;
  /** From capture to the screen, in microseconds. */
  readonly paintP50: number;
  readonly paintP95: number;
  readonly frameRate: number;
  readonly dropped: number;
  /** Bit/s. */
  readonly bitrate: number;
}

/** What a rule over the audit record found. */
export interface Alert {
  readonly id: number;
  readonly rule: string;
  readonly title: string;
  readonly level: string;
  readonly at: Date;
  readonly detail: string;
  readonly threshold: string;
  /** Records, by number. */
  readonly evidence: readonly number[];
  readonly subject: string;
  readonly tokenID: string;
  /** "revoke-token", "revoke-subject", or empty. */
  readonly answer: string;
  /** Whose sessions it is about: "token", "subject", "stream", or empty. */
  readonly ends: string;
}

export interface Alerts {
  readonly alerts: readonly Alert[];
  /** Until when rules are mute. */
  readonly muted: ReadonlyMap<string, Date>;
}

/** A line of the audit record. */
export interface AuditRecord {
  readonly seq: number;
  readonly time: Date;
  readonly event: string;
  readonly verdict: string;
  readonly reason: string;
  readonly subject: string;
  readonly stream: string;
  readonly action: string;
  readonly remote: string;
  /** How many attempts it stands for, where it stands for several; else 0. */
  readonly count: number;
}

export interface AuditTrail {
  readonly records: readonly AuditRecord[];
  /** The oldest record that the server looked at for this, and whether it looked at all of them. */
  readonly from: number;
  readonly all: boolean;
}

/** Which records are wanted; what is empty does not matter. A * at the end stands for any rest. */
export interface AuditFilter {
  readonly stream: string;
  readonly subject: string;
  readonly event: string;
  readonly verdict: string;
}

/** What a check of the whole record found. */
export interface AuditReport {
  readonly sound: boolean;
  readonly first: number;
  readonly last: number;
  readonly signed: number;
  readonly findings: readonly string[];
  /** Findings beyond those. */
  readonly more: number;
}

/** A refusal, in the page's language as far as it has words for it, or the lack of any answer. */
export class APIError extends Error {
  override readonly name = "APIError";
  /** The HTTP status; 0 when the server did not answer. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

// All of these throw APIError, with status 401 when not logged in and 403 without leave.

/** The name of what people log in with elsewhere; empty where they do not. */
export const loginWith = async (): Promise<string> => text(await read("/api/v1/login"), "oidc");

/** Begins a session. */
export async function login(credentials: Credentials): Promise<void> {
  await request("POST", "/api/v1/login", credentials);
}

/** Ends the session. */
export async function logout(): Promise<void> {
  await request("POST", "/api/v1/logout", {});
}

/** Ends all sessions of the same person, and all that runs with them. */
export async function logoutEverywhere(): Promise<void> {
  await request("POST", "/api/v1/logout/everywhere", {});
}

export async function self(): Promise<Self> {
  const body = await read("/api/v1/session");
  return { subject: text(body, "subject"), expires: time(body, "expires"), admin: field(body, "admin") === true, renews: field(body, "renews") === true };
}

/** Goes on being logged in for another while, where Self.renews says so. Gives when the new login ends. */
export async function renewLogin(): Promise<Date> {
  return time(await (await request("POST", "/api/v1/session")).json().catch(() => undefined), "expires");
}

/** What one chose for the pages, as setPreferences kept it. Whoever reads it checks it. */
export const preferences = (): Promise<unknown> => read("/api/v1/preferences");

export async function setPreferences(chosen: object): Promise<void> {
  await request("PUT", "/api/v1/preferences", chosen);
}

/** A ticket to watch a stream once. */
export async function ticket(stream: string): Promise<string> {
  return text(await (await request("POST", "/api/v1/tickets", { stream, action: "view" })).json().catch(() => undefined), "ticket");
}

/** A one-time code, which behind # makes a link that logs in once. For administrators. */
export async function code(): Promise<string> {
  return text(await (await request("POST", "/api/v1/codes", {})).json().catch(() => undefined), "code");
}

/** Tells one build of these pages from another; empty when the server does not answer. */
export async function build(): Promise<string> {
  const answer = await fetch("/assets/app.js", { method: "HEAD", cache: "no-store" }).catch(() => undefined);
  return answer?.ok === true ? (answer.headers.get("ETag") ?? "") : "";
}

/** Lists what one may watch. */
export async function streams(): Promise<Stream[]> {
  return list(await read("/api/v1/streams"), "streams").map((s) => ({
    id: text(s, "id"),
    state: text(s, "state"),
    detail: text(s, "detail"),
    viewers: number(s, "viewers"),
    source: text(s, "source"),
    sandbox: text(s, "sandbox"),
    groups: items(s, "groups").filter((g) => typeof g === "string"),
    renditions: items(s, "renditions").map((r) => ({ width: number(r, "width"), height: number(r, "height"), encoder: text(r, "encoder") })),
  }));
}

/** Lists what runs under one's name, and all that runs for who administers the server. */
export async function sessions(): Promise<Session[]> {
  return list(await read("/api/v1/sessions"), "sessions").map((s) => ({
    id: text(s, "id"),
    kind: text(s, "kind"),
    stream: text(s, "stream"),
    subject: text(s, "subject"),
    remote: text(s, "remote"),
    since: time(s, "since"),
    figures: figuresIn(field(s, "figures")),
  }));
}

function figuresIn(f: unknown): Figures | undefined {
  if (f === undefined) return undefined;
  return {
    rendition: text(f, "rendition"),
    limit: text(f, "limit"),
    stills: field(f, "stills") === true,
    paintP50: number(f, "paint_p50_us"),
    paintP95: number(f, "paint_p95_us"),
    frameRate: number(f, "frame_rate"),
    dropped: number(f, "dropped"),
    bitrate: number(f, "bitrate_bps"),
  };
}

export async function endSession(id: string): Promise<void> {
  await request("DELETE", `/api/v1/sessions/${encodeURIComponent(id)}`);
}

export async function alerts(): Promise<Alerts> {
  const body = await read("/api/v1/alerts");
  const found = list(body, "alerts").map((a) => ({
    id: number(a, "id"),
    rule: text(a, "rule"),
    title: text(a, "title"),
    level: text(a, "level"),
    at: time(a, "at"),
    detail: text(a, "detail"),
    threshold: text(a, "threshold"),
    evidence: items(a, "evidence").filter((n) => typeof n === "number"),
    subject: text(a, "subject"),
    tokenID: text(a, "token_id"),
    answer: text(a, "answer"),
    ends: text(a, "ends"),
  }));
  const muted = field(body, "muted") ?? {};
  return { alerts: found, muted: new Map(Object.keys(muted).map((rule) => [rule, time(muted, rule)])) };
}

/** Ends what runs of that which an alert is about; says how many sessions that were. */
export const endSessionsOf = async (alert: number): Promise<number> => number(await (await request("POST", `/api/v1/alerts/${alert}/end-sessions`)).json(), "ended");

export async function mute(rule: string, hours: number): Promise<void> {
  await request("POST", "/api/v1/alerts/mute", { rule, hours });
}

export async function unmute(rule: string): Promise<void> {
  await request("DELETE", `/api/v1/alerts/mute/${encodeURIComponent(rule)}`);
}

/** Ends a credential before its time, or all of a person's. */
export async function revoke(kind: "token" | "subject", value: string): Promise<void> {
  await request("POST", "/api/v1/revocations", { kind, value });
}

/** The newest records of those wanted, the newest first. */
export async function auditTrail(filter: AuditFilter): Promise<AuditTrail> {
  const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value !== ""));
  query.set("limit", "200");
  const body = await read(`/api/v1/audit?${query}`);
  const records = list(body, "records").map((r) => ({
    seq: number(r, "seq"),
    time: time(r, "time"),
    event: text(r, "event"),
    verdict: text(r, "verdict"),
    reason: text(r, "reason"),
    subject: text(r, "subject"),
    stream: text(r, "stream"),
    action: text(r, "action"),
    remote: text(r, "remote"),
    count: number(r, "count"),
  }));
  return { records, from: number(body, "from"), all: field(body, "all") === true };
}

/** Checks the whole audit record, which may take a while. */
export async function verifyAudit(): Promise<AuditReport> {
  const body: unknown = await (await request("POST", "/api/v1/audit/verify", {})).json().catch(() => undefined);
  return {
    sound: field(body, "sound") === true,
    first: number(body, "first"),
    last: number(body, "last"),
    signed: number(body, "signed"),
    findings: list(body, "findings").map((f) => text(f, "text")),
    more: number(body, "more"),
  };
}

export const read = async (path: string): Promise<unknown> => (await request("GET", path)).json().catch(() => undefined);

export async function request(method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<Response> {
  const init: RequestInit = { method, credentials: "same-origin", cache: "no-store" };
  if (method !== "GET") init.headers = { "Content-Type": "application/json", "X-Sightline": "1" };
  if (body !== undefined) init.body = JSON.stringify(body);
  if (method === "PUT") init.keepalive = true; // what is to be kept is, though the page goes away
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch {
    throw new APIError(0, t.api.noAnswer);
  }
  if (answer.ok) return answer;
  const problem = field(await answer.json().catch(() => undefined), "error");
  throw new APIError(answer.status, (await said(text(problem, "code"), text(problem, "message"))) || t.api.refused(answer.status));
}

/** A refusal in the page's language; its words are loaded when the first is met. */
async function said(code: string, message: string): Promise<string> {
  if (language === "en") return message;
  const { refusal } = await import("./refusals.ts").catch(() => ({ refusal: undefined }));
  return refusal?.(language, code, message) ?? message;
}

/** What a whole answer is about: it is a list, or the answer is none of this server's. */
export function list(value: unknown, key: string): unknown[] {
  const found = field(value, key);
  if (!Array.isArray(found)) throw new APIError(200, t.api.unreadable(key));
  return found;
}

export function field(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

export function text(value: unknown, key: string): string {
  const found = field(value, key);
  return typeof found === "string" ? found : "";
}

export function number(value: unknown, key: string): number {
  const found = field(value, key);
  return typeof found === "number" ? found : 0;
}

export const time = (value: unknown, key: string): Date => new Date(text(value, key));

export function items(value: unknown, key: string): unknown[] {
  const found = field(value, key);
  return Array.isArray(found) ? found : [];
}
