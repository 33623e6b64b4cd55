import { PassThrough, Readable, Writable } from "node:stream";
import { afterEach, describe, expect, test, vi } from "vitest";
import { StoreError } from "../../src/error.ts";
import { main } from "../../src/node/cli.ts";
import type { CliContext } from "../../src/node/cli-context.ts";
import { runCat } from "../../src/node/commands/cat.ts";
import { UsageError } from "../../src/node/usage-error.ts";
import { FailedPathsError } from "../../src/store/failed-paths.ts";
import { expectFailure, output } from "./run-cli.ts";

// The command `cat` does what a test says.
vi.mock("../../src/node/commands/cat.ts", async (original) => {
  const actual = await original<typeof import("../../src/node/commands/cat.ts")>();
  return { ...actual, runCat: vi.fn<typeof actual.runCat>(async () => {}) };
});
afterEach(() => {
  vi.mocked(runCat).mockReset();
});

const COMMANDS = ["daemon", "import", "copy", "export", "nario", "ls", "cat", "path-info"];

describe("usage", () => {
  test.each([[[]], [["frobnicate"]], [["--frobnicate"]], [["-x", "cat"]]])("%j is wrong", async (args) => {
    expect(await expectFailure(2, args)).toContain("(tvix-store-web --help shows the usage)");
  });

  test("a wrong flag of a command is named, with a hint to the command's help", async () => {
    const reason = await expectFailure(2, ["ls", "--frobnicate", "x"]);
    expect(reason).toContain("--frobnicate");
    expect(reason).toContain("(tvix-store-web ls --help shows the usage)");
  });

  test("a scheme that is not implemented yet is named", async () => {
    const env = { BLOB_SERVICE_ADDR: "objectstore+s3://bucket/prefix" };
    expect(await expectFailure(2, ["import", "."], { env })).toContain("objectstore+s3");
  });

  test.each(
    COMMANDS.flatMap((name) => [
      [name, "--help"],
      [name, "-h"],
      [name, "x", "--help"],
    ]),
  )("is printed for %s %s", async (...args) => {
    expect((await output(args)).toString()).toMatch(new RegExp(`^Usage: tvix-store-web ${args[0]} `));
    expect(runCat).not.toHaveBeenCalled();
  });

  test.each(["--help", "-h", "help"])("of the program is printed for %s, and lists all commands", async (arg) => {
    const text = (await output([arg])).toString();
    expect(text).toMatch(/^Usage: tvix-store-web COMMAND /);
    for (const name of COMMANDS) expect(text).toMatch(new RegExp(`^  ${name} `, "m"));
  });

  test("is no help after a double dash: a file may have this name", async () => {
    await output(["cat", "--", "--help"]);
    expect(vi.mocked(runCat).mock.calls[0]?.[0]).toEqual(["--", "--help"]);
  });

  test.each(["--version", "-V"])("%s prints the version", async (arg) => {
    expect((await output([arg])).toString()).toMatch(/^tvix-store-web \d+\.\d+\.\d+\n$/);
  });
});

describe("the reason of a failure", () => {
  const SIGNAL = AbortSignal.abort(new Error("SIGINT"));

  test.each<[string, unknown, number, string]>([
    ["a StoreError", new StoreError("not-found", "it is missing"), 1, "it is missing"],
    ["an error of several lines", new Error("one\r\n  two\n\nthree"), 1, "one two three"],
    ["an error of a library", new RangeError("too large"), 1, "too large"],
    ["what is no error", "a text", 1, "a text"],
    ["a closed pipe", Object.assign(new Error("write EPIPE"), { code: "EPIPE" }), 1, "the reader of the output has closed it"],
    ["a signal", SIGNAL.reason, 1, "interrupted"],
    ["wrong usage", new UsageError("x is missing"), 2, "x is missing (tvix-store-web cat --help shows the usage)"],
  ])("is one line for %s", async (_, error, status, reason) => {
    vi.mocked(runCat).mockRejectedValue(error);
    expect(await run(["cat"], { signal: SIGNAL })).toEqual({ status, stderr: `tvix-store-web: ${reason}\n` });
  });

  test("is one line for each failed path", async () => {
    const path = (digit: string) => `/nix/store/${digit.repeat(32)}-name`;
    const failures = ["a", "b"].map((digit) => ({ storePath: path(digit), error: new StoreError("not-found", "gone\nfor good") }));
    vi.mocked(runCat).mockRejectedValue(new FailedPathsError(failures, { paths: 0, bytes: 0, reused: 0, retried: 0, failed: 2 }));
    const { status, stderr } = await run(["cat"]);
    const lines = stderr.trimEnd().split("\n");
    expect([status, lines.length]).toEqual([1, 2]);
    for (const [i, line] of lines.entries())
      expect(line).toMatch(new RegExp(`^tvix-store-web: .*${failures[i]?.storePath}.*gone for good`));
  });

  test("is not needed for the exit status: standard error may be closed", async () => {
    vi.mocked(runCat).mockRejectedValue(new Error("x"));
    const stderr = new Writable({ write: (_part, _encoding, done) => done(new Error("write EPIPE")) });
    stderr.on("error", () => {});
    expect(await main(["cat"], contextWith({ stderr }))).toBe(1);
  });
});

async function run(args: readonly string[], more: Partial<CliContext> = {}) {
  const stderr = new PassThrough();
  const status = await main(args, contextWith({ stderr, ...more }));
  return { status, stderr: String(stderr.read() ?? "") };
}

function contextWith(more: Partial<CliContext>): CliContext {
  const { signal } = new AbortController();
  return { stdin: Readable.from([]), stdout: new PassThrough(), stderr: new PassThrough(), env: {}, signal, ...more };
}
