/** Setup of each test file of the mutation tester: skips tests that would take most of its time. */
import { beforeEach } from "vitest";

/**
 * Parts of the names of the tests. They show that work and memory stay within bounds, or repeat for
 * large data what other tests show for small data.
 */
const SLOW = [
  "in linear time",
  "deep and wide",
  "from each edge, with several lengths",
  "a file of 100 MiB",
  "take time in proportion to",
  "are hashed in bounded memory",
];

beforeEach(({ task, skip }) => {
  if (SLOW.some((name) => task.name.includes(name))) skip();
});
