import { readdir, readFile } from "node:fs/promises";

/** A renderer process of Chromium among the descendants of this process. */
interface Renderer {
  readonly pid: number;
  /** Content of `/proc/PID/status`. */
  readonly status: string;
}

/** Content of `/proc/PID/status` by PID. */
async function processes(): Promise<Map<number, string>> {
  const found = new Map<number, string>();
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    // A process may have ended meanwhile.
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => undefined);
    if (status !== undefined) found.set(Number(pid), status);
  }
  return found;
}

function field(status: string | undefined, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status ?? "")?.[1] ?? 0);
}

async function renderers(): Promise<Renderer[]> {
  const found: Renderer[] = [];
  const all = await processes();
  for (const [pid, status] of all) {
    let ancestor = field(status, "PPid");
    while (ancestor > 0 && ancestor !== process.pid) ancestor = field(all.get(ancestor), "PPid");
    if (ancestor !== process.pid) continue;
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command.includes("--type=renderer")) found.push({ pid, status });
  }
  return found;
}

/**
 * Memory of the largest renderer, in bytes. It includes the page, its workers, their heaps and
 * buffers.
 */
export async function rendererMemory(): Promise<number> {
  // RssAnon excludes memory that is shared with other processes, such as the program itself.
  return Math.max(0, ...(await renderers()).map(({ status }) => field(status, "RssAnon") * 1024));
}

/** Number of threads of dedicated workers in all renderers. */
export async function dedicatedWorkers(): Promise<number> {
  let count = 0;
  for (const { pid } of await renderers())
    for (const thread of await readdir(`/proc/${pid}/task`).catch(() => [])) {
      const name = await readFile(`/proc/${pid}/task/${thread}/comm`, "utf8").catch(() => "");
      if (name.startsWith("DedicatedWorker")) count++;
    }
  return count;
}
