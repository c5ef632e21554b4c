/**
 * What the page costs, measured: `npm run figures` prints one line for each figure. This is not a test, because a busy
 * machine is slower.
 *
 * A task's time by the clock is what a user feels. It grows when the machine does other work, too.
 * Its processor time is what the page itself costs. It does not grow with other work.
 */

import { readFile } from "node:fs/promises";
import { cpus, loadavg } from "node:os";

import { Stage, TRANSPORTS } from "./stage.mjs";

const MESSAGES = 10_000;
const OWN = 30;
const BUSY_S = 10;
const PER_SECOND = 20;
const IDLE_S = 20;
const TICKS_PER_SECOND = 100;
/** A user notices a task that is longer than this. */
const LONG_MS = 50;

const stage = await Stage.set({ flags: ["--messages-per-second", "1000000", "--message-burst", "1000000"] });
const [ann, bob] = await stage.pair(TRANSPORTS[0]);
const line = (name, text) => console.log(`${name.padEnd(44)} ${text}`);
const rounded = (number) => number.toFixed(1);

/** Without the categories that look at the whole page in each frame: with 10,000 messages, they would measure
 * themselves. */
const TRACED = ["toplevel", "blink.user_timing"];

/** Every task of a page's main thread while something happens, in milliseconds by the clock and of processor time. */
async function tasksDuring({ page, context }, what) {
  const session = await context.newCDPSession(page);
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  await session.send("Tracing.start", { transferMode: "ReportEvents", traceConfig: { includedCategories: TRACED } });
  // This mark tells which of the threads is the page's.
  await page.evaluate(() => void performance.mark("the page that is measured"));
  await what();
  const complete = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
  await session.send("Tracing.end");
  await complete;
  const { pid, tid } = events.find(({ name }) => name === "the page that is measured");
  const tasks = events.filter((one) => one.name === "ThreadControllerImpl::RunTask" && one.pid === pid && one.tid === tid);
  return tasks.map(({ dur = 0, tdur = 0 }) => ({ clock: dur / 1_000, processor: tdur / 1_000 }));
}

/** The processor time of the process that draws a page, in seconds. */
async function processorTime(id) {
  const fields = (await readFile(`/proc/${id}/stat`, "utf8")).split(") ")[1].split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Lets a page say what its newest message is without a search through thousands of them. */
function canTellNewest({ page }) {
  return page.evaluate(() => {
    globalThis.newest = () => {
      const block = document.querySelector(".messages").lastElementChild;
      return block?.lastElementChild?.querySelector(".text").textContent;
    };
  });
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
          if (globalThis.newest() === text) setTimeout(done);
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
/** The processor time that all pages together have used so far. */
async function used() {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const pages = processInfo.filter(({ type }) => type === "renderer");
  return (await Promise.all(pages.map(({ id }) => processorTime(id)))).reduce((a, b) => a + b, 0);
}

const about = (times) => {
  const sorted = times.toSorted((a, b) => a - b);
  const [p50, p95] = [0.5, 0.95].map((part) => rounded(sorted[Math.floor((sorted.length - 1) * part)]));
  return `n=${times.length}; median ${p50} ms, p95 ${p95} ms, most ${rounded(sorted.at(-1))} ms`;
};
line("machine", `${cpus().length} × ${cpus()[0].model}, ${stage.browser.version()}, load ${loadavg().map(rounded).join(" ")}`);

for (const transport of TRANSPORTS) {
  for (const one of [ann, bob]) if (transport !== TRANSPORTS[0]) await one.use(transport);
  // The cost of the switch itself must not count as idle.
  await new Promise((done) => setTimeout(done, 3_000));
  const before = await used();
  await new Promise((done) => setTimeout(done, IDLE_S * 1_000));
  line(`idle page over ${transport.label}`, `${rounded((((await used()) - before) * 100) / IDLE_S / 2)} % of a core`);
}
for (const one of [ann, bob]) await one.use(TRANSPORTS[0]);

const { me } = await ann.get("/api/snapshot");
await bob.say("first");
await ann.sees("first");
await canTellNewest(ann);
const short = await paintTimes(ann, OWN);
line("own message painted, short conversation", about(short));

const lines = Array.from({ length: MESSAGES }, (_, index) => `message ${index} ${"and on ".repeat(index % 9)}`);
await bob.sayAll({ user: me.id }, lines);
await ann.page.reload();
await ann.live();
await ann.page.locator(".message").last().waitFor();
// Everything is loaded, page by page, as for a user who scrolls up to the beginning.
await ann.page.evaluate(async () => {
  const list = document.getElementById("messages");
  while (!list.querySelector(".notice").textContent.includes("beginning")) {
    list.scrollTop = 0;
    await new Promise((done) => requestAnimationFrame(done));
  }
});
await canTellNewest(ann);
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
  return gaps;
});
line("frame while scrolling through them", about(frames));

/** Messages come in fast while a user reads, at the bottom or further up. */
async function busy(where) {
  const tasks = await tasksDuring(ann, async () => {
    for (let second = 0; second < BUSY_S; second += 1) {
      const began = Date.now();
      for (let one = 0; one < PER_SECOND; one += 1) {
        await bob.sayAll({ user: me.id }, [`${where} ${second} ${one}`]);
        const due = began + ((one + 1) * 1_000) / PER_SECOND;
        if (due > Date.now()) await new Promise((done) => setTimeout(done, due - Date.now()));
      }
    }
    await ann.page.evaluate(async (last) => {
      while (globalThis.newest() !== last) await new Promise((done) => requestAnimationFrame(done));
    }, `${where} ${BUSY_S - 1} ${PER_SECOND - 1}`);
  });
  const most = (/** @type {"clock" | "processor"} */ by) => Math.max(...tasks.map((task) => task[by]));
  const long = (/** @type {"clock" | "processor"} */ by) => tasks.filter((task) => task[by] > LONG_MS).length;
  const by = (name) => `${long(name)} over ${LONG_MS} ms, most ${rounded(most(name))} ms`;
  line(`${PER_SECOND} messages/s, ${where}: tasks`, `n=${tasks.length}; by the clock ${by("clock")}; processor ${by("processor")}`);
}

await busy("in the midst of 10,000");
await ann.page.evaluate(() => {
  const list = document.getElementById("messages");
  list.scrollTop = list.scrollHeight;
});
await busy("at the bottom");
const long = await paintTimes(ann, OWN);
line("own message painted, long conversation", about(long));
line("load at the end", loadavg().map(rounded).join(" "));

await stage.close();
process.exit();
