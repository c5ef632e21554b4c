/**
 * The stage of the browser tests: a launcher that can be killed, relays that can be cut, and people with browsers.
 *
 * `LAB` names the launcher's binary, `CHROMIUM` the browser.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const LAB = process.env.LAB || fileURLToPath(new URL("../../../target/debug/lab", import.meta.url));
const CHROMIUM = process.env.CHROMIUM || "/usr/bin/chromium";
/** Each transport by its label on the badge, its name in the menu, and the server that speaks it. */
export const TRANSPORTS = [
  { label: "WebSocket", name: "WebSocket", server: "websocket" },
  { label: "SSE", name: "Server-Sent Events", server: "sse" },
  { label: "Long polling", name: "Long polling", server: "longpoll" },
  { label: "Short polling", name: "Short polling", server: "longpoll" },
];
/** A phone, a tablet, a desk, and that desk at 400 % zoom. */
export const SIZES = [
  { width: 360, height: 740 },
  { width: 768, height: 900 },
  { width: 1440, height: 900 },
  { width: 320, height: 200 },
];
export const SCHEMES = ["light", "dark"];
export const PASSWORD = "correct horse";
/** Longer than anything that works takes, even on two busy cores. */
const PATIENCE_MS = 30_000;

/** Ports that were free a moment ago. The launcher needs the same ones again after a restart. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => net.createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.once("listening", resolve))));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** The network between the browser and one port: it can be cut, go deaf, or refuse WebSocket. */
export class Relay {
  /** What it does to new connections: "pass" them on, "refuse" them, or pass all but those that ask to "upgrade". */
  mode = "pass";
  /** While true, what the server sends does not arrive. */
  deaf = false;
  /** How many connections it has passed on. */
  passed = 0;
  /** The requests that came up, as their first lines. */
  requests = [];
  #pairs = new Set();

  /** @param {number} port the server's */
  constructor(port) {
    this.server = net.createServer((down) => this.#relay(down, port));
  }

  async listen() {
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return this.server.address().port;
  }

  #relay(down, port) {
    if (this.mode === "refuse") return down.destroy();
    this.passed += 1;
    const up = net.connect(port, "127.0.0.1");
    const pair = { down, up };
    this.#pairs.add(pair);
    const end = () => {
      this.#pairs.delete(pair);
      down.destroy();
      up.destroy();
    };
    down.on("data", (bytes) => {
      const head = bytes.toString("latin1");
      if (/^[A-Z]+ \/\S* HTTP/.test(head)) this.requests.push(head.slice(0, head.indexOf("\r\n")));
      if (this.mode === "upgrade" && /\r\nupgrade: websocket/i.test(head)) return end();
      up.write(bytes);
    });
    up.on("data", (bytes) => this.deaf || down.write(bytes));
    for (const socket of [down, up]) socket.on("close", end).on("error", end);
  }

  /** Resets every connection, even in the middle of an answer. */
  cut() {
    for (const { down, up } of [...this.#pairs]) {
      down.resetAndDestroy();
      up.resetAndDestroy();
    }
  }

  /** Lets nothing through any more. */
  block() {
    this.mode = "refuse";
    this.cut();
  }

  close() {
    this.cut();
    this.server.close();
  }
}

/** A launcher with a database in a directory of its own, and a browser that reaches it through relays. */
export class Stage {
  /** What must not happen, with the name of the person whom it happened to. */
  complaints = [];
  /** While true, a page's failed requests are no complaints: its server is being killed. */
  troubled = false;
  people = [];
  #names = 0;

  /** @param {{flags?: string[]}} [options] more flags for the launcher */
  static async set({ flags = [] } = {}) {
    const stage = new Stage();
    stage.directory = await mkdtemp(join(tmpdir(), "switchboard-"));
    const [page, websocket, sse, longpoll] = await freePorts(4);
    stage.ports = { page, websocket, sse, longpoll };
    stage.flags = [
      ...["--database", join(stage.directory, "chat.db"), "--listen", `127.0.0.1:${page}`],
      ...["--websocket", `127.0.0.1:${websocket}`, "--sse", `127.0.0.1:${sse}`, "--longpoll", `127.0.0.1:${longpoll}`],
      ...["--hash-memory", "8", "--registrations-per-minute", "100000", "--sign-ins-per-minute", "1000"],
      ...flags,
    ];
    await stage.startServer();
    stage.relays = {};
    const rules = [];
    for (const server of ["websocket", "sse", "longpoll"]) {
      const relay = new Relay(stage.ports[server]);
      const port = await relay.listen();
      stage.relays[server] = relay;
      for (const host of ["localhost", "127.0.0.1"]) rules.push(`MAP ${host}:${stage.ports[server]} 127.0.0.1:${port}`);
    }
    stage.base = `http://127.0.0.1:${page}`;
    stage.browser = await chromium.launch({
      executablePath: CHROMIUM,
      ignoreDefaultArgs: ["--disable-back-forward-cache"],
      args: [`--host-resolver-rules=${rules.join(", ")}`, ...(process.getuid?.() === 0 ? ["--no-sandbox"] : [])],
    });
    return stage;
  }

  async startServer() {
    this.server = spawn(LAB, this.flags, { stdio: ["ignore", "pipe", "inherit"] });
    this.gone = new Promise((resolve) => this.server.once("exit", resolve));
    await new Promise((resolve, reject) => {
      this.server.stdout.on("data", (text) => String(text).includes("Ctrl-C") && resolve());
      this.gone.then((code) => reject(new Error(`the launcher ended with ${code}`)));
      this.server.once("error", reject);
    });
  }

  async killServer() {
    this.troubled = true;
    this.server.kill("SIGKILL");
    await this.gone;
  }

  async close() {
    await this.browser?.close();
    for (const relay of Object.values(this.relays ?? {})) relay.close();
    this.server.kill("SIGKILL");
    await this.gone;
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Somebody with a browser of their own, on the sign-in page.
   * @param {string} name
   * @param {import("playwright-core").BrowserContextOptions} [options] */
  async person(name, options = {}) {
    this.#names += 1;
    const context = await this.browser.newContext({ viewport: { width: 1200, height: 800 }, ...options });
    const person = new Person(this, `${name}-${this.#names}`, context);
    await person.openTab();
    this.people.push(person);
    return person;
  }

  /** Somebody who has an account and whose page is live. */
  async member(name, transport = TRANSPORTS[0], options = {}) {
    const person = await this.person(name, options);
    await person.register();
    if (transport.label !== "WebSocket") await person.use(transport);
    return person;
  }

  /** Two members who have opened their conversation. */
  async pair(transport) {
    const [ann, bob] = [await this.member("Ann", transport), await this.member("Bob", transport)];
    await ann.open(bob.name);
    await bob.open(ann.name);
    return [ann, bob];
  }

  /** Ends a test: closes the browsers of its people, and fails if there was a complaint. */
  async clear() {
    const { complaints } = this;
    this.complaints = [];
    this.troubled = false;
    for (const relay of Object.values(this.relays)) Object.assign(relay, { mode: "pass", deaf: false, requests: [] });
    for (const { context } of this.people.splice(0)) await context.close();
    if (this.server.exitCode !== null || this.server.signalCode !== null) await this.startServer();
    assert.deepEqual(complaints, [], "no console error, no policy violation, no request to another host");
  }
}

/** What Chromium itself writes to the console when a request fails. */
const REQUEST_FAILED = /^(Failed to load resource|WebSocket connection to .* failed|GET http|POST http)/;

export class Person {
  /** @param {Stage} stage @param {string} name @param {import("playwright-core").BrowserContext} context */
  constructor(stage, name, context) {
    Object.assign(this, { stage, name, context });
    context.on("request", (request) => {
      const { hostname, protocol } = new URL(request.url());
      if (protocol !== "data:" && hostname !== "127.0.0.1" && hostname !== "localhost") {
        stage.complaints.push(`${name} asked ${request.url()}`);
      }
    });
  }

  /** Another tab of the same browser; it becomes the one that this person uses. */
  async openTab(path = "/") {
    this.page = await this.context.newPage();
    this.watch(this.page);
    await this.page.goto(this.stage.base + path);
    return this.page;
  }

  watch(page) {
    const { stage, name } = this;
    page.setDefaultTimeout(PATIENCE_MS);
    page.on("pageerror", (error) => stage.complaints.push(`${name} error: ${error.stack}`));
    page.on("console", (entry) => {
      if (entry.type() !== "error" || (stage.troubled && REQUEST_FAILED.test(entry.text()))) return;
      stage.complaints.push(`${name} console: ${entry.text()} ${entry.location().url}`);
    });
  }

  /** The same person in another tab that is open already. */
  in(page) {
    return Object.assign(Object.create(Person.prototype), { ...this, page });
  }

  async register() {
    const { page } = this;
    await page.getByRole("button", { name: "Create an account" }).click();
    await page.getByLabel("Name").fill(this.name);
    await page.getByLabel("Password").fill(PASSWORD);
    await page.getByRole("button", { name: "Create account" }).click();
    await this.live();
  }

  /** Waits until the page is connected and everything late is loaded: the menu comes last, after the keys. */
  async live() {
    await this.page.locator(".badge.live").waitFor();
    await this.page.locator("#transports").waitFor({ state: "attached" });
  }

  async use({ label, name }) {
    await this.page.locator(".badge").click();
    await this.page.getByRole("radio", { name }).check();
    await this.page.keyboard.press("Escape");
    await this.page.locator(".badge.live .label").getByText(label, { exact: true }).waitFor();
  }

  /** The same as `use`, but the composer keeps the focus, because the person goes on typing. */
  async choose({ label, name }) {
    await this.page.evaluate((value) => {
      const option = [...document.querySelectorAll(".option")].find((one) => one.textContent.includes(value));
      option.querySelector("input").click();
    }, name);
    await this.page.locator(".badge.live .label").getByText(label, { exact: true }).waitFor({ timeout: 60_000 });
  }

  async open(name) {
    await this.page.locator(".sidebar").getByRole("link", { name }).click();
    await this.page.getByRole("heading", { level: 2, name }).waitFor();
  }

  async say(text) {
    await this.page.locator("#composer").fill(text);
    await this.page.locator("#composer").press("Enter");
  }

  row(text) {
    return this.page.locator(".message:not(.unsent) .text").getByText(text, { exact: true });
  }

  /** Waits until the message is shown as stored, and checks that it is shown once. */
  async sees(text) {
    await this.row(text).first().waitFor();
    assert.equal(await this.row(text).count(), 1, `"${text}" stands once`);
  }

  /** The texts of all stored messages, in their order. */
  texts() {
    return this.page.locator(".message:not(.unsent) .text").allTextContents();
  }

  banner(text) {
    return this.page.locator(".banner", { hasText: text }).waitFor();
  }

  /** A request with this person's sign-in, from outside the page. */
  async post(path, data) {
    const response = await this.context.request.post(this.stage.base + path, {
      data,
      headers: { origin: this.stage.base },
    });
    assert.ok(response.ok(), `POST ${path} was answered ${response.status()}`);
    return response.status() === 204 ? null : response.json();
  }

  async get(path) {
    return (await this.context.request.get(this.stage.base + path)).json();
  }

  /** Sends many messages at once over HTTP, without typing them. */
  async sayAll(to, texts) {
    const BATCH = 64;
    for (let start = 0; start < texts.length; start += BATCH) {
      const replies = await this.post(
        "/api/commands",
        texts.slice(start, start + BATCH).map((text, index) => {
          return { request_id: `s${start + index}`, command: { type: "send", to, cid: randomUUID(), text } };
        }),
      );
      for (const reply of replies) assert.ok(reply.ok, JSON.stringify(reply));
    }
  }
}
