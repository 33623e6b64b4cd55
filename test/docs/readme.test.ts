import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { type Browser, chromium } from "playwright";
import { type RolldownOutput, rolldown } from "rolldown";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { chromiumPath } from "../setup/tools.ts";

/**
 * Checks that README.md is correct: compiles or runs its examples against `dist/`, and measures its
 * numbers.
 */

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const README = await readFile(join(ROOT, "README.md"), "utf8");
const WORK = join(ROOT, "test/results", `readme-${randomUUID()}`);

interface Block {
  readonly language: string;
  readonly code: string;
  readonly line: number;
  /** Whether the block is marked to run, by a comment on the line before it. */
  readonly run: boolean;
}

const BLOCKS: readonly Block[] = [...README.matchAll(/(<!-- run -->\n)?```(\w+)\n(.*?)^```$/gms)].map((match) => ({
  language: match[2] ?? "",
  code: match[3] ?? "",
  line: README.slice(0, match.index).split("\n").length,
  run: match[1] !== undefined,
}));

beforeAll(async () => {
  if (!(await exists(join(ROOT, "dist/index.js")))) throw new Error("dist/ is missing: npm run build");
  await mkdir(WORK, { recursive: true });
});

afterAll(() => rm(WORK, { recursive: true, force: true }));

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

describe("TypeScript blocks are right", () => {
  const blocks = BLOCKS.filter(({ language }) => language === "ts");
  const isNode = ({ code }: Block): boolean => code.includes('"tvix-store-web/node"');

  test.each([
    ["of a page", blocks.filter((block) => !isNode(block)), { lib: ["ES2023", "DOM"], types: [] }],
    ["of a Node program", blocks.filter(isNode), { lib: ["ES2023"], types: ["node"] }],
  ] as const)("%s", async (kind, chosen, platform) => {
    expect(chosen.length).toBeGreaterThan(0);
    const dir = join(WORK, kind.replaceAll(" ", "-"));
    await mkdir(dir);
    const source = (path: string): string[] => [join(ROOT, "src", path)];
    const config = {
      extends: join(ROOT, "tsconfig.base.json"),
      compilerOptions: {
        ...platform,
        noUnusedLocals: false,
        paths: {
          "tvix-store-web": source("index.ts"),
          "tvix-store-web/nix": source("nix/index.ts"),
          "tvix-store-web/elements": source("elements/index.ts"),
          "tvix-store-web/node": source("node/index.ts"),
          "tvix-store-web/conformance": source("conformance/index.ts"),
        },
      },
      include: ["*.mts"],
    };
    await writeFile(join(dir, "tsconfig.json"), JSON.stringify(config));
    for (const { code, line } of chosen) await writeFile(join(dir, `README-line-${line}.mts`), code);
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const { stdout } = spawnSync(process.execPath, [tsc, "--noEmit", "-p", dir], { encoding: "utf8" });
    // Errors in src itself are reported by `npm run check`.
    expect(stdout.split("\n").filter((line) => line.includes("README-line"))).toEqual([]);
    if (stdout !== "") expect(stdout).toMatch(/^(\.\.\/)*src\//);
  });
});

describe("marked shell blocks run", () => {
  let daemon: ChildProcess;
  let address: string;
  let cwd: string;

  beforeAll(async () => {
    // A directory like a clone, for the files that the examples write.
    cwd = join(WORK, "clone");
    await mkdir(cwd);
    for (const name of ["dist", "node_modules", "package.json", "test"]) await symlink(join(ROOT, name), join(cwd, name));
    daemon = spawn(
      process.execPath,
      [
        ...[join(ROOT, "dist/node/main.js"), "daemon", "-l", "127.0.0.1:0", "--data-dir", join(WORK, "data")],
        ...["--preload", join(ROOT, "test/fixtures/sample")],
      ],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const lines = createInterface({ input: daemon.stdout as NonNullable<typeof daemon.stdout> });
    const [line] = (await Promise.race([once(lines, "line"), once(daemon, "exit")])) as unknown[];
    address = /^listening on http:\/\/(.*)$/.exec(String(line))?.[1] ?? "";
    expect(address).not.toBe("");
  });

  afterAll(() => {
    daemon.kill("SIGTERM");
  });

  const EXPECTED: Readonly<Record<string, RegExp>> = {
    npx: /-sample-source\n.*-README\.md\n.*-note\.txt\n.*mknmlz8v2alkmlsrlaz14yvqyzj01vjl-md5\.drv\n\[\{"path":.*5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3/s,
    curl: /"SERVING".*KOM3\/IHEx7YfInAnlJpAElYezq0Sxn9fRz7xuClwNfA=.*"narSize":"30280"/s,
    grpcurl: /^tvix\.castore\.v1\.BlobService$.*KOM3\/IHEx7YfInAnlJpAElYezq0Sxn9fRz7xuClwNfA=.*eDg2XzY0LWxpbnV4.*narSize/ms,
  };
  const blocks = BLOCKS.filter(({ run }) => run);

  test("are the ones that are known here", () => {
    expect(blocks.map(({ code }) => /^\w+/.exec(code)?.[0])).toEqual(Object.keys(EXPECTED));
  });

  for (const [i, { code, line }] of blocks.entries()) {
    const [program = "", expected = /^$/] = Object.entries(EXPECTED)[i] ?? [];
    // No npm package provides grpcurl. If it isn't installed, this test is skipped.
    const missing = program === "grpcurl" && spawnSync(program, ["-version"]).error !== undefined;
    test.skipIf(missing)(`line ${line}: ${program}${missing ? " (not installed)" : ""}`, { timeout: 180_000 }, () => {
      const here = `grpc+http://${address}`;
      const { status, stdout, stderr } = spawnSync("sh", ["-e", "-c", code.replaceAll("127.0.0.1:8000", address)], {
        cwd,
        encoding: "utf8",
        env: { ...process.env, BLOB_SERVICE_ADDR: here, DIRECTORY_SERVICE_ADDR: here, PATH_INFO_SERVICE_ADDR: here },
      });
      expect({ status, stderr: stderr.replace(/^npm warn .*\n/gm, "") }).toEqual({ status: 0, stderr: "" });
      expect(stdout).toMatch(expected);
      expect(stdout).not.toMatch(/"(code|error)":/);
    });
  }

  test("and export the NAR that the sample has", async () => {
    const narInfo = await readFile(join(ROOT, "test/fixtures/sample/5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3.narinfo"), "utf8");
    const url = /^URL: (.*)$/m.exec(narInfo)?.[1] ?? "";
    const sha256 = async (path: string) =>
      createHash("sha256")
        .update(await readFile(path))
        .digest("hex");
    expect(await sha256(join(cwd, "hello-doc.nar"))).toBe(await sha256(join(ROOT, "test/fixtures/sample", url)));
  });
});

describe("in a browser", () => {
  const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript" };
  /** Files that the server serves besides the packages, by path. */
  const files = new Map<string, string>();
  let browser: Browser;
  let server: Server;
  let origin: string;

  beforeAll(async () => {
    server = createServer(async (request, answer) => {
      const path = new URL(request.url ?? "/", "http://localhost").pathname;
      const own = files.get(path);
      const type = { "content-type": TYPES[extname(path)] ?? "text/html" };
      if (own !== undefined) return void answer.writeHead(200, type).end(own);
      const name = path.replace("/node_modules/tvix-store-web/", "/");
      if (!path.startsWith("/node_modules/") || !(await exists(join(ROOT, name)))) return void answer.writeHead(404).end();
      createReadStream(join(ROOT, name)).pipe(answer.writeHead(200, type));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await chromium.launch({ executablePath: chromiumPath(), args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  });

  afterAll(async () => {
    await browser?.close();
    server?.close();
  });

  test("the page without a bundler shows an empty store", async () => {
    const [html, ...more] = BLOCKS.filter(({ language }) => language === "html");
    expect(more).toEqual([]);
    files.set("/index.html", html?.code ?? "");
    const page = await browser.newPage();
    const failures: string[] = [];
    page.on("pageerror", (error) => failures.push(error.message));
    await page.goto(`${origin}/index.html`);
    await page.getByText("This store is empty").waitFor({ timeout: 10_000 });
    expect(failures).toEqual([]);
    await page.close();
  });

  test("a bundle finds its workers by workerUrl", async () => {
    const code = await bundle("dist/index.js");
    files.set("/app.js", code);
    for (const name of ["store-worker.js", "hash-worker.js"]) {
      files.set(`/workers/${name}`, await readFile(join(ROOT, "dist/worker", name), "utf8"));
    }
    files.set("/app.html", "<!doctype html>");
    const page = await browser.newPage();
    await page.goto(`${origin}/app.html`);
    const storePath = await page.evaluate(`(async () => {
      const { openStore } = await import("/app.js");
      const store = await openStore("bundled", { workerUrl: "/workers/store-worker.js" });
      const file = new File(["hello\\n"], "hello");
      const { storePath } = await store.importDirectory([file], { name: "bundled" });
      await store.close();
      return storePath;
    })()`);
    expect(storePath).toMatch(/^\/nix\/store\/[0-9a-z]{32}-bundled$/);
    await page.close();
  });
});

async function bundle(path: string): Promise<string> {
  const input = await rolldown({ input: join(ROOT, path), platform: "browser", logLevel: "silent" });
  const { output }: RolldownOutput = await input.generate({ format: "esm", minify: true });
  await input.close();
  expect(output).toHaveLength(1);
  return output[0].code;
}

/** Reads the script and its WebAssembly. */
async function brotliDecoder(): Promise<Buffer> {
  const files = ["brotli-decoder.js", "brotli_dec_wasm_bg.wasm"];
  return Buffer.concat(await Promise.all(files.map((name) => readFile(join(ROOT, "dist/worker", name)))));
}

test.each([
  [/^page: /, () => bundle("dist/index.js")],
  [/^store worker/, () => readFile(join(ROOT, "dist/worker/store-worker.js"), "utf8")],
  [/^hash worker/, () => readFile(join(ROOT, "dist/worker/hash-worker.js"), "utf8")],
  [/^custom elements/, () => bundle("dist/elements/index.js")],
  [/^brotli decoder/, () => brotliDecoder()],
] as const)("the size that is told is right: %s", async (row, read) => {
  const rows = [...README.matchAll(/^\| ([^|]+?) *\| *([\d.]+) \| [^|]+ \|$/gm)];
  const told = Number(rows.find(([, name]) => row.test(name ?? ""))?.[2]);
  const kilobytes = (await promisify(gzip)(await read(), { level: 9 })).length / 1000;
  expect(kilobytes).toBeGreaterThan(0.85 * told);
  expect(kilobytes).toBeLessThan(1.15 * told);
});

test("what is said of Vite is so", async () => {
  const root = join(WORK, "vite");
  await mkdir(root);
  await writeFile(join(root, "index.html"), '<!doctype html><script type="module" src="./main.js"></script>');
  await writeFile(
    join(root, "main.js"),
    `import { openStore } from ${JSON.stringify(join(ROOT, "dist/index.js"))}; await openStore("x");`,
  );
  const built = await build({ root, configFile: false, logLevel: "silent", worker: { format: "es" } }).then(
    () => true,
    () => false,
  );
  expect(built).toBe(!README.includes("Vite 8.3 can't build it yet"));
});

test.each([
  "README.md",
  "CONTRIBUTING.md",
  "docs/architecture.md",
  "docs/daemon.md",
  "docs/dependencies.md",
  "docs/formats.md",
  "docs/performance.md",
  "docs/storage.md",
  "docs/sync.md",
  "docs/verified-streaming.md",
])("links and files that %s names are there", async (path) => {
  const text = await readFile(join(ROOT, path), "utf8");
  const links = [...text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)];
  for (const [, file = "", heading] of links) {
    const target = file === "" ? path : join(path, "..", file);
    const headings = [...(await readFile(join(ROOT, target), "utf8")).matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) =>
      title
        .toLowerCase()
        .replace(/[^\w -]/g, "")
        .replaceAll(" ", "-"),
    );
    if (heading !== undefined) expect(headings, `${target}#${heading}`).toContain(heading);
  }
  for (const [, named = ""] of text.matchAll(/`((?:src|test|demo|protos)\/(?![\w./-]*NAME)[\w./-]+)`/g)) {
    expect(await exists(join(ROOT, named)), named).toBe(true);
  }
});
