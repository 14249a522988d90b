// The player by itself, for other pages than Sightline's own: loading this is all it takes to have the element.

import { definePlayer } from "./element.ts";

export { SightlinePlayer } from "./element.ts";

definePlayer();
