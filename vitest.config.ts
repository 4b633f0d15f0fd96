import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "scripts/**/*.test.ts", "test/unit/**/*.test.ts", "bench/**/*.test.ts"],
          testTimeout: 20_000,
          maxWorkers: 2,
          // They keep nothing in modules that another could find there, and loading all modules anew for each file took half of their time.
          isolate: false,
        },
      },
      // Against the built product in dist/: real servers and SDKs on loopback.
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          globalSetup: ["test/support/build-once.ts"],
          // One more than cores: much of it waits for time limits to pass.
          maxWorkers: 3,
          isolate: false,
          // Real servers and clients on a shared machine: a test that fails twice is wrong, one that fails once may have been starved.
          retry: 1,
          // After the unit tests: they would take each other's cores, and vitest asks for an order.
          sequence: { groupOrder: 1 },
        },
      },
      // Minutes each: a real vLLM, kill -9 loops, the real agents. One at a time.
      {
        test: {
          name: "slow",
          include: ["test/slow/**/*.test.ts"],
          testTimeout: 900_000,
          retry: 2,
          hookTimeout: 900_000,
          globalSetup: ["test/support/build-once.ts"],
          fileParallelism: false,
        },
      },
    ],
  },
});
