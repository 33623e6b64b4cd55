import { compareBytes, equalBytes } from "../bytes.ts";
import type { ListEntry } from "../store/list-entry.ts";
import { describeFailure } from "./failure.ts";
import { showName } from "./file-name.ts";
import { joinPath, ROOT, splitPath } from "./route.ts";

/** Maximum number of levels that open by themselves. */
const AUTO_DEPTH = 16;

/** Milliseconds without a typed character after which a search starts again. */
const TYPING_PAUSE = 1000;

/** An entry of the tree. Only the model changes it. */
export interface Branch {
  readonly entry: ListEntry;
  /** Path within the store path. */
  readonly path: Uint8Array;
  /** Name of the entry, escaped so that it can be shown. */
  readonly label: string;
  readonly parent: Branch | undefined;
  /** Depth of the entry; 1 for the entries of the root. */
  readonly level: number;
  /** Position among the entries of the same directory, from 1. */
  readonly position: number;
  /** Number of entries of the same directory, with this one. */
  readonly siblings: number;
  expanded: boolean;
  /** Children of the directory; undefined until it is opened for the first time. */
  children: readonly Branch[] | undefined;
  loading: boolean;
  /** Reason why the directory can't be read, in words for the reader. */
  fault: string | undefined;
}

/** The services that the model needs from the element that shows it. */
export interface FileTreeHost {
  /** Yields the entries of the directory at `path`; the empty path is the root. */
  read(path: Uint8Array): AsyncIterable<ListEntry>;
  /** Called after each change. */
  changed(): void;
  /** Called if row `index` of `visible` has to come into view. */
  reveal(index: number): void;
  /** Called when the reader has chosen a file or a symbolic link. */
  chosen(branch: Branch): void;
}

/**
 * The files of one store path as a tree: which directories are expanded, and on which row the
 * keyboard acts. Reads a directory when it is expanded for the first time.
 */
export class FileTreeModel {
  /** Reason why the root can't be read, in words for the reader. */
  fault: string | undefined;
  /** Whether the root is being read, or the directories that lead to the open file. */
  busy = false;
  /** The row on which the keyboard acts. */
  active: Branch | undefined;
  readonly #host: FileTreeHost;
  #roots: readonly Branch[] = [];
  #visible: readonly Branch[] | undefined;
  /** Path of the open file. */
  #path: Uint8Array = ROOT;
  #closed = false;
  #typed = "";
  #typedAt = 0;

  constructor(host: FileTreeHost) {
    this.#host = host;
  }

  /** All rows from top to bottom: the entries whose directories are all expanded. */
  get visible(): readonly Branch[] {
    this.#visible ??= flatten(this.#roots);
    return this.#visible;
  }

  /** Index of the active row in `visible`; -1 if there is none. */
  get activeIndex(): number {
    return this.active ? this.visible.indexOf(this.active) : -1;
  }

  /** Reads the root, and expands the directories that lead to `path`. Never rejects. */
  async open(path: Uint8Array): Promise<void> {
    this.#path = path;
    this.busy = true;
    this.#change();
    try {
      this.#roots = await this.#read(undefined);
      this.#change();
      await this.#expandOnly(this.#roots);
      await this.reveal(this.#path);
    } catch (error) {
      this.fault = describeFailure(error);
    }
    this.busy = false;
    this.#change();
  }

  /** Expands the directories that lead to `path`, and makes its row the active one. */
  async reveal(path: Uint8Array): Promise<void> {
    this.#path = path;
    let level = this.#roots;
    let found: Branch | undefined;
    for (const name of splitPath(path)) {
      if (found && !(await this.expand(found))) break;
      if (this.#closed) return;
      if (found) level = found.children ?? [];
      const next = level.find((branch) => equalBytes(branch.entry.nameBytes, name));
      if (!next) break;
      found = next;
    }
    // The reader may have opened another file in the meantime.
    if (found && equalBytes(found.path, this.#path)) {
      this.active = found;
      await this.expand(found);
    }
    if (this.active) this.#reveal(this.activeIndex);
    this.#change();
  }

  /** Stops reading directories, and calls the host no more. */
  close(): void {
    this.#closed = true;
  }

  /** Expands a directory. @returns whether it is expanded and its children are known */
  async expand(branch: Branch): Promise<boolean> {
    if (branch.entry.kind !== "directory" || this.#closed) return false;
    branch.expanded = true;
    this.#change();
    if (branch.children) return true;
    if (branch.loading) return false;
    branch.loading = true;
    branch.fault = undefined;
    try {
      branch.children = await this.#read(branch);
      await this.#expandOnly(branch.children);
      return true;
    } catch (error) {
      branch.expanded = false;
      branch.fault = describeFailure(error);
      return false;
    } finally {
      branch.loading = false;
      this.#change();
    }
  }

  collapse(branch: Branch): void {
    branch.expanded = false;
    this.#change();
  }

  /** Makes a row the active one. Expands or collapses a directory, and opens a file or link. */
  choose(branch: Branch): void {
    this.active = branch;
    this.#change();
    if (branch.entry.kind !== "directory") this.#host.chosen(branch);
    else if (branch.expanded) this.collapse(branch);
    else void this.expand(branch);
  }

  /** Makes the first row the active one, unless another row is. */
  enter(): void {
    this.active ??= this.visible[0];
    this.#change();
  }

  /**
   * Does what a key does in the WAI-ARIA tree pattern.
   *
   * @param key `KeyboardEvent.key`
   * @param page number of rows by which Page Up and Page Down move
   * @returns whether the key has a meaning in the tree
   */
  press(key: string, page: number): boolean {
    const index = this.activeIndex;
    const branch = this.visible[Math.max(0, index)];
    if (!branch) return false;
    switch (key) {
      case "ArrowDown":
        this.#move(index + 1);
        break;
      case "ArrowUp":
        this.#move(index - 1);
        break;
      case "PageDown":
        this.#move(index + page);
        break;
      case "PageUp":
        this.#move(index - page);
        break;
      case "Home":
        this.#move(0);
        break;
      case "End":
        this.#move(this.visible.length - 1);
        break;
      case "ArrowRight":
        if (branch.entry.kind !== "directory") break;
        if (!branch.expanded) void this.expand(branch);
        else if (branch.children?.length) this.#move(index + 1);
        break;
      case "ArrowLeft":
        if (branch.expanded) this.collapse(branch);
        else if (branch.parent) this.#move(this.visible.indexOf(branch.parent));
        break;
      case "Enter":
      case " ":
        this.choose(branch);
        break;
      case "*":
        for (const sibling of branch.parent?.children ?? this.#roots) void this.expand(sibling);
        break;
      default:
        if (key.length !== 1) return false;
        this.#type(key, index);
    }
    return true;
  }

  /**
   * Expands the only entry of a directory: the reader only passes through a directory like
   * `share/doc`, which holds a single directory.
   */
  async #expandOnly([only, second]: readonly Branch[]): Promise<void> {
    if (only && !second && only.level < AUTO_DEPTH) await this.expand(only);
  }

  async #read(parent: Branch | undefined): Promise<Branch[]> {
    const entries: ListEntry[] = [];
    for await (const entry of this.#host.read(parent?.path ?? ROOT)) entries.push(entry);
    // Directories first, as in file managers; then by bytes, as in Nix.
    entries.sort(
      (a, b) => Number(b.kind === "directory") - Number(a.kind === "directory") || compareBytes(a.nameBytes, b.nameBytes),
    );
    return entries.map((entry, i) => ({
      entry,
      path: parent ? joinPath([parent.path, entry.nameBytes]) : entry.nameBytes,
      label: showName(entry.nameBytes),
      parent,
      level: (parent?.level ?? 0) + 1,
      position: i + 1,
      siblings: entries.length,
      expanded: false,
      children: undefined,
      loading: false,
      fault: undefined,
    }));
  }

  #move(index: number): void {
    const target = Math.max(0, Math.min(this.visible.length - 1, index));
    this.active = this.visible[target];
    this.#change();
    this.#reveal(target);
  }

  /**
   * Moves to the next name that starts with the characters that were typed less than a second
   * apart.
   */
  #type(character: string, index: number): void {
    const now = performance.now();
    this.#typed = (now - this.#typedAt > TYPING_PAUSE ? "" : this.#typed) + character.toLowerCase();
    this.#typedAt = now;
    const { length } = this.visible;
    const start = this.#typed.length === 1 ? index + 1 : Math.max(0, index);
    for (let i = 0; i < length; i++) {
      const candidate = (start + i) % length;
      if (!this.visible[candidate]?.label.toLowerCase().startsWith(this.#typed)) continue;
      this.#move(candidate);
      return;
    }
  }

  #reveal(index: number): void {
    if (!this.#closed) this.#host.reveal(index);
  }

  #change(): void {
    this.#visible = undefined;
    if (!this.#closed) this.#host.changed();
  }
}

function flatten(roots: readonly Branch[]): Branch[] {
  const visible: Branch[] = [];
  // A stack instead of recursion: a tree may be as deep as a NAR may be nested.
  const stack: Branch[] = [];
  const push = (branches: readonly Branch[]) => {
    for (let i = branches.length - 1; i >= 0; i--) stack.push(branches[i] as Branch);
  };
  push(roots);
  for (let branch = stack.pop(); branch; branch = stack.pop()) {
    visible.push(branch);
    if (branch.expanded && branch.children) push(branch.children);
  }
  return visible;
}
