// A camera's address with its login in it, and a name for its stream. Pure.

/** Puts a login into an address that is a URL with a host; one that it had is replaced. Without a name the address stays as it is. */
export function withLogin(address: string, name: string, password: string): string {
  const parts = /^([a-z]+:\/\/)(?:[^/?#@]*@)?(.*)$/i.exec(address.trim());
  if (parts === null || name === "") return address.trim();
  const login = password === "" ? encodeURIComponent(name) : `${encodeURIComponent(name)}:${encodeURIComponent(password)}`;
  return `${parts[1] ?? ""}${login}@${parts[2] ?? ""}`;
}

/** What a stream may be called after a camera of that name; empty where nothing of it may stand in one. */
export const streamName = (camera: string): string =>
  camera
    .toLowerCase()
    .replaceAll(/[^a-z0-9._-]+/g, "-")
    .replaceAll(/^[^a-z0-9]+|-+$/g, "")
    .slice(0, 64);
