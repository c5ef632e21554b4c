/**
 * What the page costs, measured: `npm run figures` prints one line for each figure. Not a test: a busy machine is slower.
 */

import { readFile } from "node:fs/promises";

import { Stage, TRANSPORTS } from "./stage.mjs";

const MESSAGES = 10_000;
const OWN = 30;
const BUSY_S = 10;
const PER_SECOND = 20;
const IDLE_S = 20;
const TICKS_PER_SECOND = 100;

const stage = await Stage.set({ flags: ["--messages-per-second", "1000000", "--message-burst", "1000000"] });
const [ann, bob] = await stage.pair(TRANSPORTS[0]);
const middle = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
const line = (name, text) => console.log(`${name.padEnd(44)} ${text}`);
const rounded = (number) => number.toFixed(1);

/** Records every task that kept the page from answering for 50 ms or more. */
function watchTasks({ page }) {
  return page.evaluate(() => {
    globalThis.longTasks = [];
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) globalThis.longTasks.push(Math.round(entry.duration));
    }).observe({ type: "longtask" });
  });
}

/** The processor time of the process that draws a page, in seconds. */
async function processorTime(id) {
  const fields = (await readFile(`/proc/${id}/stat`, "utf8")).split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** From Enter to the first frame after the row is in the page. */
function paintTimes({ page }, count) {
  return page.evaluate(async (times) => {
    const field = document.getElementById("composer");
    const measured = [];
    for (let turn = 0; turn < times; turn += 1) {
      field.value = `own ${turn} ${Math.random()}`;
      field.dispatchEvent(new Event("input", { bubbles: true }));
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      const text = field.value;
      const began = performance.now();
      field.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
      await new Promise((done) => {
        const look = () => {
          const there = document.querySelector(".block:last-child .message:last-child .text")?.textContent === text;
          if (there) setTimeout(done);
          else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
      });
      measured.push(performance.now() - began);
    }
    return measured;
  }, count);
}

const session = await stage.browser.newBrowserCDPSession();
/** What all pages together have used so far. */
async function used() {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const pages = processInfo.filter(({ type }) => type === "renderer");
  return (await Promise.all(pages.map(({ id }) => processorTime(id)))).reduce((a, b) => a + b, 0);
}

for (const transport of TRANSPORTS) {
  for (const one of [ann, bob]) if (transport !== TRANSPORTS[0]) await one.use(transport);
  // What the change itself costs is not idleness.
  await new Promise((done) => setTimeout(done, 3_000));
  const before = await used();
  await new Promise((done) => setTimeout(done, IDLE_S * 1_000));
  line(`idle page over ${transport.label}`, `${rounded((((await used()) - before) * 100) / IDLE_S / 2)} % of a core`);
}
for (const one of [ann, bob]) await one.use(TRANSPORTS[0]);

const { me } = await ann.get("/api/snapshot");
await bob.say("first");
await ann.sees("first");
const short = await paintTimes(ann, OWN);
line("own message painted, short conversation", `median ${rounded(middle(short))} ms, most ${rounded(Math.max(...short))} ms`);

const lines = Array.from({ length: MESSAGES }, (_, index) => `message ${index} ${"and on ".repeat(index % 9)}`);
await bob.sayAll({ user: me.id }, lines);
await ann.page.reload();
await ann.live();
await ann.page.locator(".message").first().waitFor();
// All of it is read, page by page, as somebody does who scrolls up to the beginning.
await ann.page.evaluate(async () => {
  const list = document.getElementById("messages");
  while (!list.querySelector(".notice").textContent.includes("beginning")) {
    list.scrollTop = 0;
    await new Promise((done) => requestAnimationFrame(done));
  }
});
line("rows in the page", String(await ann.page.locator(".message").count()));

const frames = await ann.page.evaluate(async () => {
  const list = document.getElementById("messages");
  const gaps = [];
  let last = performance.now();
  for (let step = 0; step < 300; step += 1) {
    list.scrollTop += 400;
    await new Promise((done) => requestAnimationFrame(done));
    gaps.push(performance.now() - last);
    last = performance.now();
  }
  return gaps.toSorted((a, b) => a - b);
});
line("frame while scrolling through them", `median ${rounded(middle(frames))} ms, p99 ${rounded(frames[296])} ms`);

await watchTasks(ann);
/** Messages come in fast while somebody reads, at the bottom or further up. */
async function busy(where) {
  await ann.page.evaluate(() => (globalThis.longTasks = []));
  for (let second = 0; second < BUSY_S; second += 1) {
    const began = Date.now();
    for (let one = 0; one < PER_SECOND; one += 1) {
      await bob.sayAll({ user: me.id }, [`${where} ${second} ${one}`]);
      const due = began + ((one + 1) * 1_000) / PER_SECOND;
      if (due > Date.now()) await new Promise((done) => setTimeout(done, due - Date.now()));
    }
  }
  await ann.sees(`${where} ${BUSY_S - 1} ${PER_SECOND - 1}`);
  const tasks = await ann.page.evaluate(() => globalThis.longTasks);
  const text = `${tasks.length} in ${BUSY_S} s ${JSON.stringify(tasks)}`;
  line(`tasks over 50 ms, ${PER_SECOND} messages/s, ${where}`, text);
}

await busy("in the midst of 10,000");
await ann.page.evaluate(() => {
  const list = document.getElementById("messages");
  list.scrollTop = list.scrollHeight;
});
await busy("at the bottom");
const long = await paintTimes(ann, OWN);
line("own message painted, long conversation", `median ${rounded(middle(long))} ms, most ${rounded(Math.max(...long))} ms`);

await stage.close();
process.exit();
