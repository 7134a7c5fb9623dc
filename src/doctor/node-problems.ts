/** Why this process may not open a node of VFIO's. */
import { blocking, type DoctorFacts, type DoctorProblem } from "./diagnosis.ts";
import type { NodeFacts } from "./vfio.ts";

/** `opens`: what whoever may open it has. */
export function nodeProblems({ process, container }: DoctorFacts, node: NodeFacts, opens: string): DoctorProblem[] {
  if (node.kind === "directory") return [directoryThere(node.path)];
  const found: DoctorProblem[] = [];
  if (node.mayOpen === false) {
    const mode = (node.mode ?? 0).toString(8).padStart(4, "0");
    const user = process.uid === undefined ? "this user" : `user ${process.uid}`;
    const inside = process.isInFirstUserNamespace === false ? ", and root of a user namespace is not root to it" : "";
    found.push(
      blocking(
        `${user} may not open ${node.path} (mode ${mode}, owner ${node.uid}:${node.gid})${inside}`,
        `whoever may open it drives ${opens}, so give it to one group of users by a rule of udev: ` +
          `groupadd -f vfio; usermod -aG vfio USER; echo 'SUBSYSTEM=="vfio", GROUP="vfio", MODE="0660"' > /etc/udev/rules.d/60-vfio.rules; ` +
          `udevadm control --reload; udevadm trigger -s vfio; then log in again. Without udev, until the next start: chgrp vfio ${node.path}; chmod 660 ${node.path}`,
      ),
    );
  }
  if (node.isListed === false) {
    const how =
      container === undefined ? `DeviceAllow=${node.path} rw in its unit` : `docker run --device ${node.path}`;
    found.push(
      blocking(
        `the list of devices of this process's cgroup does not have ${node.path}`,
        `the list keeps it from the devices of the machine, and of others; add this one: ${how}`,
      ),
    );
  }
  return found;
}

/** Container tools make one for a path that was not there when it was given to a container. */
function directoryThere(path: string): DoctorProblem {
  return blocking(
    `${path} is a directory, and no device: a container tool made it for a node that was not there`,
    `rmdir ${path}; then load VFIO and bind the device, and start the container after that`,
  );
}
