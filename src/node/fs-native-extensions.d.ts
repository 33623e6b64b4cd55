/** The functions of the package that the daemon uses. The package has no types. */
declare module "fs-native-extensions" {
  /** Locks a file, unless another open file holds a lock that conflicts. Returns whether it did. */
  export function tryLock(fd: number, options?: { shared?: boolean }): boolean;
  export function unlock(fd: number): void;
}
