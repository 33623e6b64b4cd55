import { expect, it } from "vitest";
import { problemsOfGroups } from "./groups.mjs";

it("the mutation tester has each source file of its rooms in one group", () => {
  expect(problemsOfGroups()).toEqual([]);
});
