import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { RunningServer } from "../../src/node/server.ts";
import { type RunningDaemon, runCli, startDaemon } from "../node/run-cli.ts";
import { EARLY_TVIX, LATE_TVIX, SNIX, StrictPeer } from "../peers/strict-peer.ts";
import { serviceFlags } from "../setup/service-flags.ts";
import { nix, nixLine, removeNixStore } from "../setup/tools.ts";
import { NESTED_CLOSURE } from "./nix-expressions.ts";

/**
 * Real Nix copies through our daemon to an imitation of a stock daemon. snix.test.ts does this with
 * a real one.
 */

let dir: string;
let source: string;
let built: string;
let closure: string[];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-gateway-nix-"));
  source = join(dir, "source");
  await mkdir(source);
  await writeFile(join(dir, "closure.nix"), NESTED_CLOSURE);
  built = await nixLine(["nix-build", "--no-out-link", join(dir, "closure.nix")], { dir: source });
  closure = (await nixLine(["nix-store", "--query", "--requisites", built], { dir: source })).split("\n");
}, 120_000);

afterAll(async () => {
  await removeNixStore(source);
  await rm(dir, { recursive: true, force: true });
});

test.each(Object.entries({ snix: SNIX, "tvix since 2024-08": LATE_TVIX, "tvix before": EARLY_TVIX }))(
  "nix copy works in both directions with %s behind the daemon",
  { timeout: 120_000 },
  async (name, options) => {
    const peer = new StrictPeer(options);
    let server: RunningServer | undefined;
    let daemon: RunningDaemon | undefined;
    const reader = join(dir, `reader-${name.replaceAll(" ", "-")}`);
    try {
      server = await peer.listen();
      const address = `grpc+${server.address}`;
      const behind = serviceFlags(address);
      daemon = await startDaemon(["-l", "127.0.0.1:0", ...behind]);
      await nix(["nix", "copy", "--to", daemon.address, built], { dir: source });
      expect(peer.pathInfos.size).toBe(closure.length);
      for (const path of closure) {
        const { stdout } = await runCli(["export", ...behind, path]);
        expect(stdout.equals(await nix(["nix-store", "--dump", join(source, path)], { dir: source }))).toBe(true);
      }
      await mkdir(reader);
      await nix(["nix", "copy", "--from", daemon.address, "--no-check-sigs", built], { dir: reader });
      await nix(["nix-store", "--verify-path", ...closure], { dir: reader });
    } finally {
      await removeNixStore(reader);
      await daemon?.stop();
      await server?.close();
    }
  },
);
