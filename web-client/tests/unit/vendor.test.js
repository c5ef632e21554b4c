import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import test from "node:test";

const vendored = new URL("../../static/vendor/lit-html/", import.meta.url);
const packaged = new URL("../../node_modules/lit-html/", import.meta.url);

test("the vendored lit-html is the published one, and its README names its checksums", async () => {
  const readme = await readFile(new URL("README.md", vendored), "utf8");
  const files = [...readme.matchAll(/^\| `(\S+)` \| `([0-9a-f]{64})` \|$/gm)];
  assert.ok(files.length >= 6);
  for (const [, path, checksum] of files) {
    const ours = await readFile(new URL(path, vendored));
    assert.deepEqual(ours, await readFile(new URL(path, packaged)), path);
    assert.equal(createHash("sha256").update(ours).digest("hex"), checksum, path);
  }
  const { version } = JSON.parse(await readFile(new URL("package.json", packaged), "utf8"));
  assert.ok(readme.startsWith(`# lit-html ${version}\n`));
});
