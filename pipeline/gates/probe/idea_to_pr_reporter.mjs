// A reporter for `node --test` that writes the JSON report of vitest and jest. It imports nothing
// else, because it runs in the tested project's own environment:
// node --test --test-reporter=<this file> --test-reporter-destination=<report>.
import { resolve } from "node:path";

export default async function* report(source) {
  const files = new Map();
  const at = (given) => {
    const name = resolve(given); // Node 22 gives absolute paths in some events, relative in others
    if (!files.has(name)) files.set(name, { name, status: "passed", message: "", assertionResults: [], printed: "" });
    return files.get(name);
  };
  const open = [];
  for await (const { type, data } of source) {
    if (type === "test:start") open.splice(data.nesting, open.length, data.name);
    if (type === "test:stderr") at(data.file).printed += data.message;
    if (type !== "test:pass" && type !== "test:fail") continue;
    const file = at(data.file ?? data.name);
    const error = data.details?.error;
    const cause = error?.cause ?? error;
    const text = cause instanceof Error || cause?.stack ? `${cause.stack}` : `${cause ?? ""}`;
    const isFile = data.nesting === 0 && (data.file !== undefined && resolve(data.name) === resolve(data.file));
    if (isFile || data.details?.type === "suite") {
      if (isFile && type === "test:fail") Object.assign(file, { status: "failed", message: file.printed || text });
      continue;
    }
    const skipped = data.skip !== undefined || data.todo !== undefined;
    // `skip` and `todo` are `true` if no reason is given, else the reason.
    const whySkipped = [data.skip, data.todo].find((one) => typeof one === "string") ?? "";
    file.assertionResults.push({
      fullName: [...open.slice(0, data.nesting), data.name].join(" > "),
      status: skipped ? "pending" : type === "test:pass" ? "passed" : "failed",
      failureMessages: skipped && whySkipped ? [whySkipped] : type === "test:fail" ? [text] : [],
    });
  }
  yield JSON.stringify({ testResults: [...files.values()] });
}
