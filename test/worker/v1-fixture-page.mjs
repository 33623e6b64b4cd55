/**
 * The part of make-v1-fixtures.mjs that runs in the page. `old` is the code of an earlier commit.
 */
import { InlineHashEngine } from "old/hash/inline-engine.ts";
import { importNar } from "old/store/import.ts";
import { StoreDatabase } from "old/worker/indexeddb.ts";
import { createIndexedDbStore } from "old/worker/indexeddb-store.ts";
import { dump } from "./fixture-values.mjs";
import { narOf, V1_TREES } from "./trees.ts";

export async function makeFixture() {
  const engine = new InlineHashEngine();
  const database = new StoreDatabase("fixture");
  const store = createIndexedDbStore(database, engine);
  let last;
  for (const { name, root } of V1_TREES) {
    const source = async function* () {
      yield* narOf(root);
    };
    last = await importNar(store, engine, source(), { name });
  }
  await store.pathInfos.delete(last.storePath.slice("/nix/store/".length, "/nix/store/".length + 32));
  await database.close();
  return dump("tvix-store-web:fixture", 1);
}
