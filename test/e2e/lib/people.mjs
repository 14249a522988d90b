// People at a server's pages: their accounts, and what they type, press and read.

import { execFileSync } from "node:child_process";
import { program } from "./server.mjs";
import { eventually } from "./wait.mjs";

export const password = "correct horse battery";

/** Makes an account; with --invite its link is what is printed. */
export const addUser = (server, name, role, ...more) =>
  execFileSync(program("sightline"), ["users", "add", name, "--role", role, "--stream", "**", "--data-dir", server.dataDir, ...more], { input: `${password}\n`, encoding: "utf8" }).trim();

/** A page of a browser without cookies. */
export async function visit(server, browser, address) {
  const page = await (await browser.browser.createBrowserContext()).newPage();
  await page.goto(new URL(address, server.origin).href);
  return page;
}

export const textOf = (page, selector) => page.$eval(selector, (e) => e.textContent);
export const texts = (page, selector) => page.$$eval(selector, (list) => list.map((e) => e.textContent));
export const problem = (page, pattern) => eventually(`a problem like ${pattern}`, async () => {
  const said = await page.$$eval("main > .problem, .card .problem", (list) => list.filter((e) => !e.hidden).map((e) => e.textContent).join());
  if (!pattern.test(said)) throw new Error(`it says ${JSON.stringify(said)}`);
  return said;
});

/** Waits for the page of those who are not logged in, and fills in its form. */
export async function logIn(page, name, secret = password) {
  await page.waitForSelector("main.door #username");
  for (const [field, value] of [["#username", name], ["#password", secret]]) {
    await page.$eval(field, (e) => (e.value = ""));
    await page.type(field, value);
  }
  await page.keyboard.press("Enter");
}

/** Presses the button with these words in what selector names. */
export async function press(page, selector, words) {
  const button = await eventually(`a button ${words}`, async () => {
    for (const b of await page.$$(`${selector} button`)) if ((await b.evaluate((e) => e.textContent)) === words && (await b.isVisible())) return b;
    return undefined;
  });
  await button.click();
}
