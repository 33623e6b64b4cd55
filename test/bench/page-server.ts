import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { rolldown } from "rolldown";
import type { Message, Options } from "./bench.ts";

export interface PageServer {
  readonly url: string;
  /** Resolves when the page's worker is done, and rejects with its failure. */
  readonly done: Promise<void>;
  close(): void;
}

export interface PageServerOptions {
  /** Paths of the sources, by the names of the scripts. The page starts `worker.js`. */
  readonly scripts: Readonly<Record<string, string>>;
  /** Further files, by their names. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
  readonly options: Options;
  onMessage(message: Message): void;
}

/** Doesn't depend on the driver of its browser: it posts the worker's reports to its own server. */
const PAGE = `<!doctype html>
<meta charset="utf-8" />
<title>bench</title>
<script type="module">
  const worker = new Worker("/worker.js" + location.search, { type: "module" });
  let sent = Promise.resolve();
  const report = (message) => {
    sent = sent.then(() => fetch("/report", { method: "POST", body: JSON.stringify(message) }));
  };
  worker.onmessage = ({ data }) => report(data);
  worker.onerror = (event) => report({ kind: "failed", reason: event.message || "the worker's script could not be loaded" });
</script>
`;

// A page that is isolated from other origins has a precise clock.
export const HEADERS = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
  "cache-control": "no-store",
};

/** Serves a page on loopback that runs a benchmark's worker. */
export async function servePage({ scripts, files: further, options, onMessage }: PageServerOptions): Promise<PageServer> {
  const files = new Map<string, { type: string; body: string | Uint8Array }>([["/", { type: "text/html", body: PAGE }]]);
  for (const [name, body] of further ?? []) files.set(`/${name}`, { type: "application/octet-stream", body });
  for (const [name, source] of Object.entries(scripts)) {
    files.set(`/${name}`, { type: "text/javascript", body: await bundled(source) });
  }
  let settle: { resolve: () => void; reject: (error: Error) => void } | undefined;
  const done = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // The browser may fail before anything awaits `done`.
  done.catch(() => {});

  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (request.method === "POST" && pathname === "/report") {
      const parts: Buffer[] = [];
      for await (const part of request) parts.push(part as Buffer);
      response.writeHead(204, HEADERS).end();
      const message = JSON.parse(Buffer.concat(parts).toString()) as Message;
      if (message.kind === "done") settle?.resolve();
      else if (message.kind === "failed") settle?.reject(new Error(message.reason));
      else onMessage(message);
      return;
    }
    const file = files.get(pathname);
    if (file) response.writeHead(200, { ...HEADERS, "content-type": file.type }).end(file.body);
    else response.writeHead(404, HEADERS).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/?${new URLSearchParams({ options: JSON.stringify(options) })}`,
    done,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Bundles a source into one script. */
export async function bundled(source: string): Promise<string> {
  const bundle = await rolldown({ input: source, platform: "browser" });
  const { output } = await bundle.generate({ format: "esm", codeSplitting: false });
  await bundle.close();
  return output[0].code;
}
