/** The File System Access API, where a browser has it; TypeScript's library does not describe these yet. */
interface FilePickers {
  showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
  showDirectoryPicker?(options: { mode: "read" }): Promise<FileSystemDirectoryHandle>;
}

function pickers(): FilePickers {
  return globalThis as FilePickers;
}

export function canPickDirectory(): boolean {
  return typeof pickers().showDirectoryPicker === "function";
}

/** Undefined if the reader changed their mind. To be called in a click's handler. */
export async function pickDirectory(): Promise<FileSystemDirectoryHandle | undefined> {
  return dismissable(pickers().showDirectoryPicker?.({ mode: "read" }));
}

export function canPickSaveFile(): boolean {
  return typeof pickers().showSaveFilePicker === "function";
}

/** Undefined if the reader changed their mind. To be called in a click's handler. */
export async function pickSaveFile(suggestedName: string): Promise<FileSystemFileHandle | undefined> {
  return dismissable(pickers().showSaveFilePicker?.({ suggestedName }));
}

async function dismissable<T>(picked: Promise<T> | undefined): Promise<T | undefined> {
  try {
    return await picked;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return undefined;
    throw error;
  }
}
