/**
 * The part of make-v2-fixtures.mjs that runs in the browser. `old` is the code of an earlier
 * commit.
 */
import { InlineHashEngine } from "old/hash/inline-engine.ts";
import { importNar } from "old/store/import.ts";
import { openPackedStore } from "old/worker/open-packed-store.ts";
import { writePacked } from "old/worker/packed-services.ts";
import { importBlob } from "old/worker/pins.ts";
import { dump, plain } from "./fixture-values.mjs";
import { narOf, V1_TREES } from "./trees.ts";

/** Makes the fixture in a worker: pages can't write files in OPFS. */
export function makeFixture(storage) {
  return new Promise((resolve, reject) => {
    const worker = new Worker("/page.js", { type: "module", name: storage });
    worker.onmessage = ({ data }) => ("failure" in data ? reject(new Error(data.failure)) : resolve(data));
    worker.onerror = (event) => reject(new Error(event.message));
  });
}

async function run(storage) {
  const engine = new InlineHashEngine();
  const store = await openPackedStore("fixture", storage);
  let last;
  for (const { name, root } of V1_TREES) {
    const source = async function* () {
      yield* narOf(root);
    };
    last = await writePacked(store, engine, { durability: "relaxed" }, (services) =>
      importNar(services, engine, source(), { name }),
    );
  }
  const pinned = async function* () {
    yield new TextEncoder().encode("pinned");
  };
  await writePacked(store, engine, { durability: "relaxed" }, (services, session) =>
    importBlob(services.blobs, session, pinned(), "pin", {}),
  );
  await store.database.write(["pathInfos"], "relaxed", (transaction) =>
    transaction.objectStore("pathInfos").delete(last.storePath.slice("/nix/store/".length, "/nix/store/".length + 32)),
  );
  const packs = {};
  for (let entry = 0; entry < store.table.count; entry++) {
    const location = store.table.location(entry);
    const [bytes] = await store.readLocations([location]);
    packs[location.record.pack] ??= [];
    packs[location.record.pack].push(plain(bytes));
  }
  store.close();
  await store.database.close();
  return { records: await dump("tvix-store-web:fixture", 2), packs };
}

if (typeof document === "undefined") {
  run(self.name).then(
    (fixture) => self.postMessage(fixture),
    (error) => self.postMessage({ failure: String(error) }),
  );
}
