import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type BrowserName, BrowserProcess, storageOnDisk } from "./browser-process.ts";
import { checkEmptied, checkSpace, checkState, type Observed, type Space, type Violation } from "./checker.ts";
import { Durations } from "./durations.ts";
import { type Action, inFlight, KINDS, type Operation, told } from "./operation.ts";
import type { Message, Step, Storage } from "./page-protocol.ts";
import { type PageServer, servePages, type Tab } from "./page-server.ts";
import { makePlan, type Plan } from "./plan.ts";
import { Random } from "./random.ts";
import type { Shape } from "./tree.ts";
import { emptyTally, type Tally } from "./verdict.ts";
import { World } from "./world.ts";

export interface CampaignOptions {
  readonly browser: BrowserName;
  readonly storage: Storage;
  readonly kills: number;
  readonly seed: number;
  readonly root: string;
  /** Directory with the built package and the page's script. */
  readonly out: string;
  /** Directory for the profile and the daemon's store. */
  readonly dir: string;
  readonly verbose: boolean;
  note(text: string): void;
}

/**
 * Time limit for one command to a page, in milliseconds. It must be enough to render every store
 * path in one check, on a busy machine.
 */
const PATIENCE = 120_000;
/** Rounds between two checks of the space that the store takes. */
const SPACE_EVERY = 10;
/** Size of NARs, in bytes, from which on the store must have some files in OPFS. */
const MUCH = 1024 * 1024;
const STORE = "crash";

/** A running browser with its tabs. */
interface Session {
  readonly browser: BrowserProcess;
  readonly tabs: Tab[];
  readonly operations: Operation[];
  /** Called for each message about a running operation. */
  watch: (operation: Operation, kind: Message["kind"]) => void;
  /** Whether the browser was killed. */
  killed: boolean;
}

/** Kills one browser repeatedly, on one profile and one store. */
export class Campaign {
  readonly tally: Tally = emptyTally();
  readonly #options: CampaignOptions;
  readonly #profile: string;
  readonly #durations = new Durations();
  readonly #server: PageServer;
  readonly #world: World;
  /** Store paths that the store had at the last check. */
  #present: ReadonlySet<string> = new Set();
  readonly #planned = new Map<number, Omit<Operation, "started">>();
  #verifies = false;

  private constructor(options: CampaignOptions, profile: string, server: PageServer, world: World) {
    this.#options = options;
    this.#profile = profile;
    this.#server = server;
    this.#world = world;
  }

  static async run(options: CampaignOptions): Promise<Tally> {
    const { root, out, dir, seed } = options;
    const profile = join(dir, "profile");
    await mkdir(profile, { recursive: true });
    const server = await servePages(root, out);
    try {
      const world = await World.create(root, out, dir, seed, server.content);
      try {
        const campaign = new Campaign(options, profile, server, world);
        await campaign.#run();
        return campaign.tally;
      } finally {
        await world.close();
      }
    } finally {
      server.close();
    }
  }

  async #run(): Promise<void> {
    const { kills, seed } = this.#options;
    if (!(await this.#rehearse())) return;
    let operations: readonly Operation[] = [];
    for (let round = 1; round <= kills; round++) {
      const session = await this.#start();
      try {
        if (!(await this.#checked(session, round, operations))) return;
        if (round % SPACE_EVERY === 0) await this.#checkSpace(session, round);
        const plan = await makePlan(new Random(seed, round), this.#world, this.#present);
        await this.#runAndKill(session, plan, round);
        operations = session.operations;
      } finally {
        await end(session);
      }
    }
    await this.#finish(operations);
  }

  /**
   * Runs operations without kills. This measures their durations, and proves that everything works
   * if nothing fails.
   *
   * @returns whether everything worked
   */
  async #rehearse(): Promise<boolean> {
    const random = new Random(this.#options.seed);
    const session = await this.#start();
    try {
      const [tab] = session.tabs as [Tab];
      const opened = await tab.tell({ kind: "open", name: STORE, storage: this.#options.storage }, PATIENCE);
      if (opened.storage !== undefined && opened.storage !== this.#options.storage)
        throw new Error(`the store is in ${opened.storage}, which is not the requested storage`);
      this.#verifies = opened.verify;
      if (!opened.verify) this.#options.note("this version has no verify(), so only NARs are checked");
      const shapes: Shape[] = ["tiny", "few", "many", "blobs", "large"];
      const plan = [];
      for (const shape of shapes)
        for (const format of ["nar", "tar"] as const) plan.push(await this.#world.import(random, shape, format));
      for (const root of this.#world.roots) plan.push(this.#world.pull(root));
      // Delete the large paths, to make room for the rounds and garbage for the collection.
      for (const action of plan.slice(-3 - this.#world.roots.length)) {
        if (action.kind === "import") plan.push({ kind: "delete", storePath: action.storePath } as const);
      }
      plan.push({ kind: "collect" } as const);
      await tab.tell({ kind: "run", lanes: [this.#steps(0, 0, plan)] }, PATIENCE);
      if (!(await this.#observed(tab, 0, session.operations))) return false;
      await this.#checkSpace(session, 0);
      // Operations that were not in danger don't count.
      this.tally.operations = 0;
      this.tally.acknowledged = 0;
      return this.tally.losses === 0;
    } finally {
      await end(session);
    }
  }

  async #start(): Promise<Session> {
    let session: Session | undefined;
    const onMessage = (message: Message): void => {
      if (session) this.#hear(session, message);
    };
    const { url, tab } = this.#server.tab(onMessage);
    const browser = await BrowserProcess.start(this.#options.browser, this.#profile, url, () => {
      for (const each of session?.tabs ?? [tab]) each.end(new Error("the browser ended"));
    });
    session = { browser, tabs: [tab], operations: [], watch: () => {}, killed: false };
    return session;
  }

  /** Records a page's message at once. */
  #hear(session: Session, message: Message): void {
    if (message.kind === "result" || message.kind === "error") return;
    const planned = this.#planned.get(message.id);
    if (!planned) throw new Error(`there is no operation ${message.id}`);
    const now = performance.now();
    if (message.kind === "started") {
      const operation: Operation = { ...planned, started: now };
      session.operations.push(operation);
      this.tally.operations++;
      session.watch(operation, message.kind);
      return;
    }
    const operation = session.operations.find(({ id }) => id === message.id);
    if (!operation) throw new Error(`operation ${message.id} ended before it started`);
    if (message.kind === "acknowledged") {
      operation.acknowledged = now;
      this.tally.acknowledged++;
      this.#durations.add(operation.action, now - operation.started);
    } else if (!session.killed) {
      // Ignore failures after a kill: a dying part of the browser may notice that other parts are
      // gone.
      operation.failed = message.reason;
    }
    session.watch(operation, message.kind);
  }

  #steps(tab: number, lane: number, actions: readonly Action[]): Step[] {
    return actions.map((action) => {
      const id = this.#planned.size;
      this.#planned.set(id, { id, tab, lane, action });
      return { id, action };
    });
  }

  /**
   * Opens the store and checks the result of the last round.
   *
   * @returns whether the check was possible
   */
  async #checked(session: Session, round: number, operations: readonly Operation[]): Promise<boolean> {
    const [tab] = session.tabs as [Tab];
    try {
      await tab.tell({ kind: "open", name: STORE, storage: this.#options.storage }, PATIENCE);
    } catch (error) {
      this.#report(round, [{ kind: "unusable", text: `openStore() after the kill: ${messageOf(error)}` }], operations);
      return false;
    }
    return this.#observed(tab, round, operations);
  }

  async #observed(tab: Tab, round: number, operations: readonly Operation[]): Promise<boolean> {
    let observed: Observed;
    try {
      observed = await tab.tell({ kind: "check", ask: [...this.#world.known.keys()] }, PATIENCE);
    } catch (error) {
      this.#report(round, [{ kind: "unusable", text: `checking the store: ${messageOf(error)}` }], operations);
      return false;
    }
    if (this.#verifies && !observed.verify) throw new Error("verify() was not called");
    const expectation = { before: this.#present, operations, known: this.#world.known };
    this.#report(round, checkState(observed, expectation), operations);
    this.#present = new Set(observed.paths.map(({ storePath }) => storePath));
    return true;
  }

  async #checkSpace(session: Session, round: number): Promise<Space | undefined> {
    const [tab] = session.tabs as [Tab];
    const live = this.#world.sizeOf(this.#present);
    let space: Space;
    try {
      await tab.tell({ kind: "collect" }, PATIENCE);
      space = await tab.tell({ kind: "space" }, PATIENCE);
    } catch (error) {
      this.#report(round, [{ kind: "unusable", text: `collecting garbage without other operations: ${messageOf(error)}` }], []);
      return undefined;
    }
    this.#options.note(`round ${round}: ${mib(live)} of NARs in ${this.#present.size} paths; ${takes(space)}`);
    const violations = checkSpace(space, live);
    if (this.#options.storage === "opfs" && live > MUCH && space.opfsBytes === 0)
      violations.push({ kind: "space", text: "OPFS has no files, but the store should be in OPFS" });
    this.#report(round, violations, []);
    return space;
  }

  async #runAndKill(session: Session, plan: Plan, round: number): Promise<void> {
    const tabs = Math.max(...plan.lanes.map((lane) => lane.tab)) + 1;
    while (session.tabs.length < tabs) await this.#openTab(session);
    await session.browser.look();

    const target = plan.lanes[0]?.actions[plan.target];
    if (!target) throw new Error("the plan has no such operation");
    const lanes = plan.lanes.map(({ tab, actions }, lane) => ({ tab, steps: this.#steps(tab, lane, actions) }));
    const targetId = lanes[0]?.steps[plan.target]?.id;
    const expected = this.#durations.expected(target);
    const { moment } = plan;
    const delay =
      moment.kind === "within"
        ? moment.fraction * expected
        : moment.kind === "before-end"
          ? Math.max(0, expected - moment.milliseconds)
          : moment.milliseconds;
    const due = new Promise<void>((resolve) => {
      session.watch = (operation, kind) => {
        if (operation.id !== targetId) return;
        const now = moment.kind === "after-end" ? kind !== "started" : kind === "started";
        if (now) setTimeout(resolve, delay);
      };
    });
    const ended = Promise.all(
      session.tabs.map(async (tab, i) => {
        const own = lanes.filter((lane) => lane.tab === i).map(({ steps }) => steps);
        if (own.length > 0) await tab.tell({ kind: "run", lanes: own }, PATIENCE);
      }),
    );
    try {
      await Promise.race([due, ended]);
    } catch (error) {
      this.#report(round, [{ kind: "unusable", text: `before the kill: ${messageOf(error)}` }], session.operations);
    }
    ended.catch(() => {});
    // The operations that are running at this moment are those that the kill hits.
    const hit = session.operations.filter(inFlight);
    session.killed = true;
    await session.browser.kill();
    this.tally.kills++;
    if (hit.length > 0) this.tally.hits++;
    for (const kind of KINDS) if (hit.some(({ action }) => action.kind === kind)) this.tally.hitsByKind[kind]++;
    const kinds = hit.map(({ action }) => action.kind).join(" + ") || "nothing";
    this.#options.note(
      `round ${round}: killed in ${kinds} (${moment.kind}, ${Math.round(delay)} ms; ${session.operations.length} operations)`,
    );
    if (this.#options.verbose) for (const operation of session.operations) this.#options.note(`  ${told(operation)}`);
  }

  async #openTab(session: Session): Promise<void> {
    const { url, tab } = this.#server.tab((message) => this.#hear(session, message));
    await session.tabs[0]?.tell({ kind: "tab", url }, PATIENCE);
    session.tabs.push(tab);
    await tab.tell({ kind: "open", name: STORE, storage: this.#options.storage }, PATIENCE);
  }

  /**
   * Checks the result of the last kill. Then deletes everything, and checks that almost no space is
   * taken.
   */
  async #finish(operations: readonly Operation[]): Promise<void> {
    const round = this.#options.kills + 1;
    const session = await this.#start();
    try {
      if (!(await this.#checked(session, round, operations))) return;
      const before = await this.#checkSpace(session, round);
      const [tab] = session.tabs as [Tab];
      try {
        await tab.tell({ kind: "empty" }, PATIENCE);
      } catch (error) {
        this.#report(round, [{ kind: "unusable", text: `deleting everything: ${messageOf(error)}` }], []);
        return;
      }
      this.#present = new Set();
      await this.#observed(tab, round, []);
      const after = await this.#checkSpace(session, round);
      if (before && after) this.#options.note(`before everything was deleted: ${takes(before)}; after: ${takes(after)}`);
    } finally {
      await end(session);
    }
    const disk = await storageOnDisk(this.#options.browser, this.#profile);
    this.#options.note(`on disk after everything was deleted: ${mib(disk)}`);
    this.#report(round, checkEmptied(disk, this.#options.storage), []);
  }

  #report(round: number, violations: readonly Violation[], operations: readonly Operation[]): void {
    this.tally.losses += violations.length;
    const { browser, storage, seed, note } = this.#options;
    for (const { kind, text } of violations)
      note(`LOSS ${kind}, ${browser} ${storage}, seed ${seed}, found in round ${round}: ${text}`);
    if (violations.length > 0) for (const operation of operations) note(`  before it: ${told(operation)}`);
  }
}

async function end(session: Session): Promise<void> {
  if (!session.killed) await session.browser.close();
  for (const tab of session.tabs) tab.end(new Error("the browser was ended"));
}

function takes({ opfsBytes, opfsFiles, databaseBytes, databaseRecords, estimate }: Space): string {
  return `${mib(opfsBytes)} in ${opfsFiles} files, ${mib(databaseBytes)} in ${databaseRecords} records, browser's estimate ${mib(estimate)}`;
}

function mib(bytes: number): string {
  return `${(bytes / (1024 * 1024)).toFixed(1)} MiB`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
