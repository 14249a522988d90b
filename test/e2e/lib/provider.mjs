// An OpenID provider with a login page, as Keycloak is one: authorization code with PKCE, keys by JWKS. It checks what a provider
// must check, and can be told to do wrong.

import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import https from "node:https";

const encode = (value) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

export class Provider {
  /** Roles by the name that people type. */
  people = {};
  /** What it does wrong: nonce or state are answered instead of the right ones, token is the status instead of a token. */
  wrong = {};
  #key = generateKeyPairSync("rsa", { modulusLength: 2048 });
  #codes = new Map();
  #client;
  #server;
  #port;

  /** pair names the files of its certificate for localhost, client is {id, secret, redirect}, port a free one. */
  constructor(pair, client, port) {
    this.#client = client;
    this.#port = port;
    this.#server = https.createServer({ cert: readFileSync(pair.certificate), key: readFileSync(pair.key) }, (q, r) => void this.#answer(q, r));
  }

  /** The name by which it is known: of another site than 127.0.0.1. */
  get issuer() {
    return `https://localhost:${this.#port}/realm`;
  }

  async start() {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request, response) {
    const url = new URL(request.url, this.issuer);
    let text = "";
    for await (const part of request) text += part;
    const form = new URLSearchParams(text);
    const json = (status, body) => response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
    switch (`${request.method} ${url.pathname.replace("/realm", "")}`) {
      case "GET /.well-known/openid-configuration":
        return json(200, {
          issuer: this.issuer, authorization_endpoint: `${this.issuer}/authorize`, token_endpoint: `${this.issuer}/token`, jwks_uri: `${this.issuer}/keys`,
        });
      case "GET /keys":
        return json(200, { keys: [{ ...this.#key.publicKey.export({ format: "jwk" }), kid: "k1", use: "sig", alg: "RS256" }] });
      case "GET /authorize":
        return this.#page(url.searchParams, response);
      case "POST /authorize":
        return this.#logIn(url.searchParams, form, response);
      case "POST /token":
        return this.wrong.token === undefined ? json(...this.#token(request, form)) : json(this.wrong.token, {});
    }
    response.writeHead(404).end();
  }

  #page(asked, response) {
    const right = asked.get("client_id") === this.#client.id && asked.get("redirect_uri") === this.#client.redirect && asked.get("response_type") === "code" &&
      asked.get("code_challenge_method") === "S256" && asked.get("scope").split(" ").includes("openid") && (asked.get("nonce") ?? "") !== "" && (asked.get("state") ?? "") !== "";
    if (!right) return response.writeHead(400).end(`not what a client asks: ${asked}`);
    response.writeHead(200, { "Content-Type": "text/html" });
    response.end('<!doctype html><title>Provider</title><form method="post"><input name="name"><button name="do" value="in">Log in</button><button name="do" value="cancel">Cancel</button></form>');
  }

  #logIn(asked, form, response) {
    const back = new URL(this.#client.redirect);
    back.searchParams.set("state", this.wrong.state ?? asked.get("state"));
    if (form.get("do") === "cancel") {
      back.searchParams.set("error", "access_denied");
    } else {
      const code = randomBytes(16).toString("hex");
      this.#codes.set(code, { name: form.get("name"), nonce: this.wrong.nonce ?? asked.get("nonce"), challenge: asked.get("code_challenge") });
      back.searchParams.set("code", code);
    }
    response.writeHead(303, { Location: back.href }).end();
  }

  #token(request, form) {
    const login = this.#codes.get(form.get("code"));
    this.#codes.delete(form.get("code"));
    const secret = `Basic ${Buffer.from(`${this.#client.id}:${this.#client.secret}`).toString("base64")}`;
    const challenge = createHash("sha256").update(form.get("code_verifier") ?? "").digest("base64url");
    if (login === undefined || request.headers.authorization !== secret || challenge !== login.challenge || form.get("redirect_uri") !== this.#client.redirect) {
      return [400, { error: "invalid_grant" }];
    }
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: this.issuer, sub: login.name, aud: this.#client.id, iat: now, exp: now + 300, nonce: login.nonce, realm_access: { roles: this.people[login.name] ?? [] },
    };
    const signed = `${encode({ alg: "RS256", typ: "JWT", kid: "k1" })}.${encode(claims)}`;
    const token = `${signed}.${sign("sha256", Buffer.from(signed), this.#key.privateKey).toString("base64url")}`;
    return [200, { access_token: "of no use here", token_type: "Bearer", expires_in: 300, id_token: token }];
  }
}
