// A camera's address with its login in it. Pure.

/** Puts a login into an address that is a URL with a host; one that it had is replaced. Without a name the address stays as it is. */
export function withLogin(address: string, name: string, password: string): string {
  const parts = /^([a-z]+:\/\/)(?:[^/?#@]*@)?(.*)$/i.exec(address.trim());
  if (parts === null || name === "") return address.trim();
  const login = password === "" ? encodeURIComponent(name) : `${encodeURIComponent(name)}:${encodeURIComponent(password)}`;
  return `${parts[1] ?? ""}${login}@${parts[2] ?? ""}`;
}
