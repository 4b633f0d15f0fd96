/** Builds dist/ before the suites that drive the built product, so that they never test a stale build. */
import { execFileSync } from "node:child_process";

export default function setup(): void {
  execFileSync("npm", ["run", "--silent", "build"], { stdio: "inherit" });
}
