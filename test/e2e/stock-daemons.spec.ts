import { mkdir, mkdtemp, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SNIX_STORE, type SnixServer, startSnixStore } from "../interop/snix-programs.ts";
import { EARLY_TVIX, LATE_TVIX, SNIX, StrictPeer } from "../peers/strict-peer.ts";
import { serviceFlags } from "../setup/service-flags.ts";
import { nix } from "../setup/tools.ts";
import { expect, startDaemon, test } from "./fixtures.ts";

/** A page syncs with stock daemons, which speak only gRPC, through our daemon. */

async function standIn(peer: StrictPeer): Promise<SnixServer> {
  const server = await peer.listen();
  return { address: new URL(server.address).host, end: () => server.close() };
}

interface Peer {
  /** Whether the page tries every protocol of our daemon, which takes a while. */
  readonly everyWay: boolean;
  start(dir: string): Promise<SnixServer>;
}

const PEERS: Record<string, Peer> = {
  "a stand-in for snix": { everyWay: false, start: () => standIn(new StrictPeer(SNIX)) },
  "a stand-in for tvix since 2024-08": { everyWay: true, start: () => standIn(new StrictPeer(LATE_TVIX)) },
  "a stand-in for tvix before": { everyWay: false, start: () => standIn(new StrictPeer(EARLY_TVIX)) },
};
if (SNIX_STORE) {
  const start = async (dir: string): Promise<SnixServer> => {
    const at = await mkdtemp(join(dir, "snix-"));
    return startSnixStore(serviceFlags(`objectstore+file://${at}/b`, `redb://${at}/d.redb`, `redb://${at}/p.redb`));
  };
  PEERS["a real snix-store"] = { everyWay: true, start };
} else console.warn("SNIX_STORE is not set: pages are tested with stand-ins for snix only");

async function makeNar(dir: string): Promise<string> {
  const tree = join(dir, "tree");
  await mkdir(join(tree, "a/b/c"), { recursive: true });
  await mkdir(join(tree, "empty"));
  await writeFile(join(tree, "a/b/c/large"), Buffer.alloc(2_500_000, "some content that is repeated "));
  await writeFile(join(tree, "a/nothing"), "");
  await writeFile(join(tree, "a/run"), "#!/bin/sh\n", { mode: 0o755 });
  await symlink("a/run", join(tree, "link"));
  return (await nix(["nix-store", "--dump", tree], { dir: join(dir, "nix") })).toString("base64");
}

for (const [name, { everyWay, start }] of Object.entries(PEERS)) {
  test(`a page pushes to ${name} and pulls from it`, async ({ libraryPage: page, dir }) => {
    const nar = await makeNar(dir);
    for (const protocol of everyWay ? (["connect", "grpc-web"] as const) : (["connect"] as const)) {
      for (const dialect of everyWay ? (["auto", "tvix", "snix"] as const) : (["auto"] as const)) {
        const peer = await start(dir);
        const behind = serviceFlags(`grpc+http://${peer.address}`);
        const daemon = await startDaemon(await mkdtemp(join(dir, "data-")), ...behind);
        const result = await page.evaluate(
          async ({ nar, url, protocol, dialect }) => {
            const { connectRemote, openStore } = window.tvix;
            const remote = connectRemote(url, { protocol, dialect });
            const first = await openStore(crypto.randomUUID());
            const bytes = Uint8Array.from(atob(nar), (char) => char.charCodeAt(0));
            const { storePath, narHash } = await first.importNar(new Blob([bytes]), { name: "tree" });
            const pushed = await first.push(remote, [storePath]);
            const pushedAgain = await first.push(remote, [storePath]);
            const second = await openStore(crypto.randomUUID());
            const pulled = await second.pull(remote, [storePath]);
            const there = [];
            for await (const info of second.remotePathInfos(remote)) there.push(info.storePath);
            const here = await second.pathInfo(storePath);
            const rendered = new Uint8Array(await new Response(second.nar(storePath)).arrayBuffer());
            const pushedBack = await second.push(remote, [storePath]);
            const pulledAgain = await second.pull(remote, [storePath]);
            await first.close();
            await second.close();
            const same = rendered.length === bytes.length && rendered.every((byte, i) => byte === bytes[i]);
            return { pushed, pushedAgain, pulled, pushedBack, pulledAgain, same, hashes: [narHash, here?.narHash], there };
          },
          { nar, url: daemon.url, protocol, dialect },
        );
        const what = `${protocol}, ${dialect}`;
        expect(result.same, what).toBe(true);
        expect(result.hashes[1], what).toBe(result.hashes[0]);
        // Five directories, and two blobs in addition to the empty one.
        expect(result.pushed, what).toMatchObject({ paths: 1, objects: 7 });
        expect(result.pulled, what).toMatchObject({ paths: 1, objects: 7 });
        for (const nothing of [result.pushedAgain, result.pushedBack, result.pulledAgain])
          expect(nothing, what).toMatchObject({ paths: 0, objects: 0, reused: 1 });
        expect(await daemon.stop()).toBe(0);
        await peer.end();
      }
    }
  });
}
