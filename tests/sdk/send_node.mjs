// Sends the messages on stdin with Segment's Node library as it comes from npm: `FOLDER HOST WRITE_KEY`.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [folder, host, writeKey] = process.argv.slice(2);
const { Analytics } = createRequire(`${folder}/`)("@segment/analytics-node");
const analytics = new Analytics({ writeKey, host, maxEventsInBatch: 100, flushInterval: 500 });
const failures = [];
analytics.on("error", (error) => failures.push(error));

const sent = JSON.parse(readFileSync(0, "utf-8")).map(
  ({ type, ...message }) =>
    new Promise((resolve) => {
      analytics[type](message, (error) => {
        if (error) failures.push(error);
        resolve();
      });
    }),
);
const flushed = analytics.flush({ timeout: 120_000 });
await Promise.all(sent);
await flushed;
await analytics.closeAndFlush({ timeout: 120_000 });
for (const failure of failures) console.error(failure);
process.exitCode = failures.length ? 1 : 0;
