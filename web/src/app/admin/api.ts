// The part of the server's control API that is for those who run it. Answers are checked at this door.

import { field, items, list, number, read, request, text, time } from "../api.ts";

/** A stream with what who runs the server must know of it. */
export interface StreamReport {
  readonly id: string;
  readonly state: string;
  readonly detail: string;
  readonly cause: string;
  /** For how long it has been in this state, in seconds. */
  readonly seconds: number;
  readonly viewers: number;
  readonly source: string;
  readonly sandbox: string;
  readonly renditions: readonly RenditionReport[];
  /** How often its capture process was started again, when last and why; undefined for never. */
  readonly restarts: { readonly count: number; readonly last: Date; readonly why: string } | undefined;
}

export interface RenditionReport {
  readonly name: string;
  readonly codec: string;
  readonly width: number;
  readonly height: number;
  readonly frameRate: number;
  readonly encoder: string;
  /** Whether it is being encoded. The rest is 0 while it is not, and where it is not known. */
  readonly active: boolean;
  readonly viewers: number;
  readonly bitrate: number;
  readonly encodeP50: number;
  readonly encodeP95: number;
  readonly psnr: number;
  readonly ssim: number;
}

/** Lists all streams of the server. */
export async function streamReports(): Promise<StreamReport[]> {
  return list(await read("/api/v1/admin/streams"), "streams").map((s) => {
    const restarts = field(s, "restarts");
    return {
      id: text(s, "id"),
      state: text(s, "state"),
      detail: text(s, "detail"),
      cause: text(s, "cause"),
      seconds: number(s, "state_s"),
      viewers: number(s, "viewers"),
      source: text(s, "source"),
      sandbox: text(s, "sandbox"),
      renditions: items(s, "renditions").map((r) => ({
        name: text(r, "name"),
        codec: text(r, "codec"),
        width: number(r, "width"),
        height: number(r, "height"),
        frameRate: number(r, "frame_rate_milli") / 1000,
        encoder: text(r, "encoder"),
        active: field(r, "active") === true,
        viewers: number(r, "viewers"),
        bitrate: number(r, "bitrate_bps"),
        encodeP50: number(r, "encode_p50_us"),
        encodeP95: number(r, "encode_p95_us"),
        psnr: number(r, "psnr_db"),
        ssim: number(r, "ssim"),
      })),
      restarts: restarts === undefined ? undefined : { count: number(restarts, "count"), last: time(restarts, "last"), why: text(restarts, "why") },
    };
  });
}

/** An account of a person. */
export interface User {
  readonly name: string;
  readonly role: string;
  readonly streams: readonly string[];
  readonly disabled: boolean;
  readonly password: boolean;
  readonly made: Date;
  /** Until when its set-up link works; undefined where there is none. */
  readonly invited: Date | undefined;
}

/** A link that lets somebody in. It cannot be had again. */
export interface NewLink {
  readonly name: string;
  readonly link: string;
  /** The same as an image, in SVG. */
  readonly qr: string;
  readonly expires: Date;
}

export interface Invitation {
  readonly name: string;
  readonly streams: readonly string[];
  readonly uses: number;
  readonly used: number;
  readonly expires: Date;
}

/** A key that signs or signed tokens. */
export interface Key {
  readonly id: string;
  readonly made: Date | undefined;
  /** Undefined for the one that signs. */
  readonly retired: Date | undefined;
  readonly until: Date | undefined;
}

const names = (value: unknown, key: string): string[] => items(value, key).filter((s) => typeof s === "string");
const maybeTime = (value: unknown, key: string): Date | undefined => (text(value, key) === "" ? undefined : time(value, key));
const send = async (method: "POST" | "PATCH", path: string, body: unknown): Promise<unknown> => (await request(method, path, body)).json().catch(() => undefined);
const userPath = (name: string): string => `/api/v1/users/${encodeURIComponent(name)}`;

function linkIn(l: unknown): NewLink {
  return { name: text(l, "name"), link: text(l, "link"), qr: text(l, "qr"), expires: time(l, "expires") };
}

export async function users(): Promise<User[]> {
  return list(await read("/api/v1/users"), "users").map((u) => ({
    name: text(u, "name"),
    role: text(u, "role"),
    streams: names(u, "streams"),
    disabled: field(u, "disabled") === true,
    password: field(u, "password") === true,
    made: time(u, "made"),
    invited: maybeTime(u, "invited_until"),
  }));
}

/** Makes an account, and the link by which its holder chooses a password. */
export const addUser = async (name: string, role: string, streams: readonly string[]): Promise<NewLink> => linkIn(await send("POST", "/api/v1/users", { name, role, streams }));

/** Makes such a link for an account that there is. */
export const newUserLink = async (name: string): Promise<NewLink> => linkIn(await send("POST", `${userPath(name)}/link`, {}));

/** Changes what an account may do, and ends what it has running. */
export async function changeUser(name: string, role: string, streams: readonly string[]): Promise<void> {
  await request("PATCH", userPath(name), { role, streams });
}

/** Keeps an account from logging in and ends what it has running, or lets it in again. */
export async function disableUser(name: string, disabled: boolean): Promise<void> {
  await request("PATCH", userPath(name), { disabled });
}

export async function removeUser(name: string): Promise<void> {
  await request("DELETE", userPath(name));
}

export async function invitations(): Promise<Invitation[]> {
  return list(await read("/api/v1/invitations"), "invitations").map((i) => ({
    name: text(i, "name"),
    streams: names(i, "streams"),
    uses: number(i, "uses"),
    used: number(i, "used"),
    expires: time(i, "expires"),
  }));
}

/** Lets so many people without an account view streams, for so many seconds. */
export const invite = async (name: string, streams: readonly string[], uses: number, seconds: number): Promise<NewLink> =>
  linkIn(await send("POST", "/api/v1/invitations", { name, streams, uses, seconds }));

/** Takes an invitation back and ends what its guests have running. */
export async function withdraw(name: string): Promise<void> {
  await request("DELETE", `/api/v1/invitations/${encodeURIComponent(name)}`);
}

function keyIn(k: unknown): Key {
  return { id: text(k, "id"), made: maybeTime(k, "made"), retired: maybeTime(k, "retired"), until: maybeTime(k, "until") };
}

export const keys = async (): Promise<Key[]> => list(await read("/api/v1/keys"), "keys").map(keyIn);

/** Makes a new key to sign with. */
export const rotateKey = async (): Promise<Key> => keyIn(await send("POST", "/api/v1/keys", {}));

/** Removes a key that signs no more, and ends what runs by it. */
export async function removeKey(id: string): Promise<void> {
  await request("DELETE", `/api/v1/keys/${encodeURIComponent(id)}`);
}

/** Makes a token, which cannot be had again. */
export async function issueToken(subject: string, action: string, streams: readonly string[], seconds: number): Promise<{ token: string; id: string; expires: Date }> {
  const made = await send("POST", "/api/v1/tokens", { subject, action, streams, seconds });
  return { token: text(made, "token"), id: text(made, "id"), expires: time(made, "expires") };
}

/** A stream of the configuration. */
export interface Camera {
  readonly id: string;
  /** Without its login. */
  readonly source: string;
  readonly publish: boolean;
  /** "file", "demo", or "page" for one that was added here, where it can be removed too. */
  readonly origin: string;
}

const streamPath = (stream: string): string => stream.split("/").map(encodeURIComponent).join("/");

export async function cameras(): Promise<Camera[]> {
  return list(await read("/api/v1/cameras"), "cameras").map((c) => ({
    id: text(c, "id"),
    source: text(c, "source"),
    publish: field(c, "publish") === true,
    origin: text(c, "origin"),
  }));
}

/** Shows a camera for a while, as the stream that it gives. */
export const tryCamera = async (source: string): Promise<string> => text(await send("POST", "/api/v1/trials", { source }), "stream");

/** Ends that. */
export async function endTrial(stream: string): Promise<void> {
  await request("DELETE", `/api/v1/trials/${encodeURIComponent(stream.replace(/^trial\//, ""))}`);
}

/** A camera that answered on a network of the server's. What it says of itself is its own claim. */
export interface FoundCamera {
  readonly address: string;
  /** Where it is asked for its video. */
  readonly service: string;
  readonly name: string;
  readonly model: string;
}

/** Looks for cameras on the server's networks, which takes some seconds. */
export const findCameras = async (): Promise<FoundCamera[]> =>
  list(await send("POST", "/api/v1/discoveries", {}), "cameras").map((c) => ({ address: text(c, "address"), service: text(c, "service"), name: text(c, "name"), model: text(c, "model") }));

/** One way to have a camera's video. */
export interface Profile {
  readonly name: string;
  readonly coding: string;
  /** 0 where the camera does not say. */
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  /** Without a login. */
  readonly source: string;
}

/** Asks a camera for its video, with a login of its own. */
export const cameraProfiles = async (service: string, user: string, password: string): Promise<Profile[]> =>
  list(await send("POST", "/api/v1/discoveries/profiles", { service, user, password }), "profiles").map((p) => ({
    name: text(p, "name"),
    coding: text(p, "coding"),
    width: number(p, "width"),
    height: number(p, "height"),
    fps: number(p, "fps"),
    source: text(p, "source"),
  }));

/** Makes a camera a stream of the configuration. */
export async function addCamera(stream: string, source: string): Promise<void> {
  await request("POST", "/api/v1/cameras", { stream, source });
}

/** Takes away one that was added so. */
export async function removeCamera(stream: string): Promise<void> {
  await request("DELETE", `/api/v1/cameras/${streamPath(stream)}`);
}

/** A value of the configuration, without anything secret. */
export interface Setting {
  readonly name: string;
  readonly value: string;
  /** "default", "file", "environment", "flag", and "page" or "demo" for a stream. */
  readonly origin: string;
  /** A file with its line, or the name of a variable or flag. */
  readonly where: string;
}

/** A setting that is another on disk than the one that holds. Both are the same where what differs is not shown. */
export interface ConfigChange {
  readonly name: string;
  readonly from: string;
  readonly to: string;
}

export interface ConfigReport {
  readonly changes: readonly ConfigChange[];
  /** Why it cannot be taken up. */
  readonly problems: readonly string[];
  readonly takenUp: boolean;
}

const reportIn = (r: unknown): ConfigReport => ({
  changes: items(r, "changes").map((c) => ({ name: text(c, "name"), from: text(c, "from"), to: text(c, "to") })),
  problems: names(r, "problems"),
  takenUp: field(r, "taken_up") === true,
});

/** The configuration that holds. */
export const configuration = async (): Promise<Setting[]> =>
  list(await read("/api/v1/config"), "settings").map((s) => ({ name: text(s, "name"), value: text(s, "value"), origin: text(s, "origin"), where: text(s, "where") }));

/** Has the server look at the configuration on disk. */
export const checkConfiguration = async (): Promise<ConfigReport> => reportIn(await send("POST", "/api/v1/config/check", {}));

/** Has the server go on with it, all of it or nothing. */
export const reloadConfiguration = async (): Promise<ConfigReport> => reportIn(await send("POST", "/api/v1/config/reload", {}));
