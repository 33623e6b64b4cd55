import { type Driven, type DrivenBench, isWanted, type Options, type Requirement } from "./bench.ts";
import { CUT, growth, HELIA, importLarge, importSmallFiles, importTree, NATIVE, PUTS, SHA256, WRITE } from "./storage/imports.ts";
import { heapOfObjects, heapOfTree, LIMIT } from "./storage/memory.ts";
import { openStores, readFiles, renderTree } from "./storage/reads.ts";
import { Session } from "./storage/session.ts";
import { LARGE_TREE, SMALL_TREE } from "./storage/tree.ts";

/** Cases that are measured together. */
interface Stage {
  readonly names: readonly string[];
  run(session: Session): Promise<void>;
}

const TREE_NAR = "import tree nar (file)";
const TREE = [
  [TREE_NAR, "nar", "file"],
  ["import tree nar (http)", "nar", "http"],
  ["import tree tar (file)", "tar", "file"],
] as const;
const GB_TREE = "import 1 GB tree nar (file)";
const HOW = ["nar", "tar", "folder"] as const;
const SMALL = [5000, 50_000].flatMap((count) => HOW.map((how) => [`import ${count} small files (${how})`, count, how] as const));
const GROWTH = [1000, 10_000, 100_000].map((count) => [growthName(count), count] as const);
const LARGE = "import 1GiB";
const LARGE_CASTORE = "import 1GiB, castore alone";
const RENDER = { durable: "durable tree", cold: "nar render + sha256, cold", warm: "nar render + sha256, warm" };
const READ = { cold: "read 1000 files, cold", warm: "read 1000 files, warm" };
const OPEN = [10_000, 1_000_000].map((objects) => [`open ${objects} objects`, objects] as const);
const HEAP_TREE = "heap, the tree";
const HEAP_OBJECTS = ["heap, 1000000 objects", 1_000_000] as const;

const stages: readonly Stage[] = [
  ...TREE.map(([name, format, source]) => stage(name, (session) => importTree(session, name, SMALL_TREE, format, source))),
  stage(GB_TREE, (session) => importTree(session, GB_TREE, LARGE_TREE, "nar", "file")),
  { names: Object.values(RENDER), run: (session) => renderTree(session, RENDER) },
  ...SMALL.map(([name, count, how]) => stage(name, (session) => importSmallFiles(session, name, count, how))),
  ...GROWTH.map(([name, count]) => stage(name, (session) => growth(session, name, count))),
  stage(LARGE, (session) => importLarge(session, LARGE, "store path")),
  stage(LARGE_CASTORE, (session) => importLarge(session, LARGE_CASTORE, "castore")),
  { names: Object.values(READ), run: (session) => readFiles(session, READ) },
  ...OPEN.map(([name, objects]) => stage(name, (session) => openStores(session, name, objects))),
  stage(HEAP_TREE, (session) => heapOfTree(session, HEAP_TREE)),
  stage(HEAP_OBJECTS[0], (session) => heapOfObjects(session, ...HEAP_OBJECTS)),
];

function growthName(count: number): string {
  return `growth, ${count} files`;
}

function stage(name: string, run: Stage["run"]): Stage {
  return { names: [name], run };
}

const requirements: Requirement[] = [
  { case: TREE_NAR, against: NATIVE, times: 1, best: true },
  ...TREE.map(([name]) => ({ case: name, against: NATIVE, times: 1.5 })),
  { case: RENDER.cold, against: NATIVE, times: 2 },
  { case: RENDER.warm, against: NATIVE, times: 2 },
  ...SMALL.filter(([, , how]) => how === "nar").flatMap(([name, count]) => [
    // The import of 5000 files takes a third of a second, mostly for code that runs for the first
    // time.
    { case: name, against: HELIA, ratio: count === 5000 ? 20 : 50 },
    { case: name, against: PUTS, ratio: 10 },
  ]),
  { case: growthName(100_000), againstCase: growthName(1000), times: 1.2 },
  { case: LARGE, against: [SHA256, CUT, WRITE], ratio: 0.8 },
  { case: LARGE_CASTORE, against: [CUT, WRITE], ratio: 0.6 },
  ...OPEN.map(([name]) => ({ case: name, atMost: 1000 })),
  { case: HEAP_TREE, against: LIMIT, times: 1 },
  { case: HEAP_OBJECTS[0], against: LIMIT, times: 1 },
];

async function drive(options: Options, root: string, report: Parameters<DrivenBench["drive"]>[2]): Promise<Driven> {
  const wanted = stages.filter(({ names }) => names.some((name) => isWanted(name, options)));
  const session = await Session.start(root, options, report);
  try {
    for (const { run } of wanted) await run(session);
    return { chromium: session.chromium, checks: session.checks };
  } finally {
    await session.end();
  }
}

export const bench: DrivenBench = {
  runtime: "chromium",
  requirements,
  facts: () => [],
  drive,
};
