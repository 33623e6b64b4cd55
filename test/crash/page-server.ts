import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";
import type { Command, Message, Results } from "./page-protocol.ts";

/** The connection to one tab of a browser that will be killed. */
export class Tab {
  readonly #onMessage: (message: Message) => void;
  #commands: Command[] = [];
  #waiting: ServerResponse | undefined;
  #answer: { resolve: (value: unknown) => void; reject: (error: Error) => void } | undefined;
  #gone: Error | undefined;

  constructor(onMessage: (message: Message) => void) {
    this.#onMessage = onMessage;
  }

  /**
   * Sends a command and waits for its result. One command can run at a time. Rejects if the page
   * fails, if the browser is gone or after `patience` milliseconds.
   */
  async tell<C extends Command>(command: C, patience: number): Promise<Results[C["kind"]]> {
    if (this.#gone) throw this.#gone;
    if (this.#answer) throw new Error("this tab is busy");
    let timer: NodeJS.Timeout | undefined;
    try {
      return (await new Promise<unknown>((resolve, reject) => {
        this.#answer = { resolve, reject };
        timer = setTimeout(() => reject(new Error(`no answer to '${command.kind}' in ${patience / 1000} s`)), patience);
        this.#commands.push(command);
        this.#send();
      })) as Results[C["kind"]];
    } finally {
      clearTimeout(timer);
      this.#answer = undefined;
    }
  }

  /** Ends the connection: the browser is gone. */
  end(reason: Error): void {
    this.#gone ??= reason;
    this.#answer?.reject(reason);
  }

  /** @internal */
  ask(response: ServerResponse): void {
    if (this.#gone) {
      response.writeHead(410).end();
      return;
    }
    this.#waiting = response;
    response.once("close", () => {
      if (this.#waiting === response) this.#waiting = undefined;
    });
    this.#send();
  }

  /** @internal */
  receive(message: Message): void {
    if (message.kind === "result") this.#answer?.resolve(message.value);
    else if (message.kind === "error") this.#answer?.reject(new Error(message.reason));
    else this.#onMessage(message);
  }

  #send(): void {
    if (!this.#waiting || this.#commands.length === 0) return;
    const response = this.#waiting;
    this.#waiting = undefined;
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(this.#commands.shift()));
  }
}

export interface PageServer {
  readonly url: string;
  /** Archives that are served under `/content/KEY`. */
  readonly content: Map<string, () => Uint8Array>;
  /** Creates the URL of a new tab, and the connection to it. */
  tab(onMessage: (message: Message) => void): { url: string; tab: Tab };
  close(): void;
}

const PAGE = `<!doctype html>
<meta charset="utf-8" />
<title>crash</title>
<link rel="icon" href="data:," />
<script type="importmap">{ "imports": { "comlink": "/comlink.mjs" } }</script>
<script type="module" src="/page.js"></script>
`;

const TYPES: Record<string, string> = { ".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm" };

/**
 * Serves the built package and the page on one origin, which stays the same for all rounds.
 *
 * @param out directory with `dist` and `page.mjs`
 */
export async function servePages(root: string, out: string): Promise<PageServer> {
  const tabs = new Map<string, Tab>();
  const content = new Map<string, () => Uint8Array>();
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
    response.setHeader("cache-control", "no-store");
    response.on("error", () => {});
    if (pathname === "/") {
      response.writeHead(200, { "content-type": "text/html" }).end(PAGE);
    } else if (pathname === "/next" || pathname === "/report") {
      const tab = tabs.get(searchParams.get("tab") ?? "");
      if (!tab) response.writeHead(410).end();
      else if (pathname === "/next") tab.ask(response);
      else await receive(request, response, tab);
    } else if (pathname.startsWith("/content/")) {
      const make = content.get(pathname.slice("/content/".length));
      if (make) response.writeHead(200, { "content-type": "application/octet-stream" }).end(make());
      else response.writeHead(404).end();
    } else {
      await sendFile(response, filePath(root, out, pathname));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    content,
    tab(onMessage) {
      const tab = new Tab(onMessage);
      const id = crypto.randomUUID();
      tabs.set(id, tab);
      return { url: `${url}/?tab=${id}`, tab };
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function receive(request: IncomingMessage, response: ServerResponse, tab: Tab): Promise<void> {
  const parts: Buffer[] = [];
  try {
    for await (const part of request) parts.push(part as Buffer);
  } catch {
    // The browser was killed while it sent the request.
    return;
  }
  tab.receive(JSON.parse(Buffer.concat(parts).toString()) as Message);
  response.writeHead(204).end();
}

function filePath(root: string, out: string, pathname: string): string | undefined {
  if (pathname === "/page.js") return join(out, "page.mjs");
  if (pathname === "/comlink.mjs") return join(root, "node_modules/comlink/dist/esm/comlink.mjs");
  const path = normalize(join(out, pathname));
  return path.startsWith(join(out, "dist/")) ? path : undefined;
}

async function sendFile(response: ServerResponse, path: string | undefined): Promise<void> {
  const found = path === undefined ? undefined : await stat(path).catch(() => undefined);
  if (path === undefined || !found?.isFile()) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" });
  createReadStream(path).pipe(response);
}
