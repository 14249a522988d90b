// The server's control API as the pages use it. Answers are checked at this door.

/** What one may watch, as GET /api/v1/streams lists it. */
export interface Stream {
  readonly id: string;
  readonly state: string;
  readonly detail: string;
  readonly viewers: number;
  readonly renditions: readonly Rendition[];
}

export interface Rendition {
  readonly width: number;
  readonly height: number;
}

/** A refusal, in the server's words, or the lack of any answer. */
export class APIError extends Error {
  override readonly name = "APIError";
  /** The HTTP status; 0 when the server did not answer. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Exchanges a one-time code for a session. Throws APIError. */
export async function login(code: string): Promise<void> {
  await request("POST", "/api/v1/login", { code });
}

/** Ends the session. Throws APIError. */
export async function logout(): Promise<void> {
  await request("POST", "/api/v1/logout", {});
}

/** Lists what one may watch. Throws APIError, with status 401 when not logged in. */
export async function streams(): Promise<Stream[]> {
  const body = await (await request("GET", "/api/v1/streams")).json().catch(() => undefined);
  const list = field(body, "streams");
  if (!Array.isArray(list)) throw new APIError(200, "The server's list of streams cannot be read. Reload the page.");
  return list.map((s: unknown) => ({
    id: text(s, "id"),
    state: text(s, "state"),
    detail: text(s, "detail"),
    viewers: number(s, "viewers"),
    renditions: items(s, "renditions").map((r) => ({
      width: number(r, "width"),
      height: number(r, "height"),
    })),
  }));
}

async function request(method: "GET" | "POST", path: string, body?: unknown): Promise<Response> {
  const init: RequestInit = { method, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    init.headers = { "Content-Type": "application/json", "X-Sightline": "1" };
    init.body = JSON.stringify(body);
  }
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch {
    throw new APIError(0, "The server does not answer. This page keeps trying.");
  }
  if (answer.ok) return answer;
  const problem = field(await answer.json().catch(() => undefined), "error");
  throw new APIError(answer.status, text(problem, "message") || `The server refused (status ${answer.status}).`);
}

function field(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[key] : undefined;
}

function text(value: unknown, key: string): string {
  const found = field(value, key);
  return typeof found === "string" ? found : "";
}

function number(value: unknown, key: string): number {
  const found = field(value, key);
  return typeof found === "number" ? found : 0;
}

function items(value: unknown, key: string): unknown[] {
  const found = field(value, key);
  return Array.isArray(found) ? found : [];
}
