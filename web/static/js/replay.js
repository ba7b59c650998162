// The page of recordings: with a replay's token in its address's fragment it
// plays that recording, otherwise it lists those of the node in its query.
//
// For programs that watch or test the page: <html data-state> is list,
// trouble, or the state of the player's connection (connecting, connected,
// reconnecting, refused), and window.ironglass has noVNC's RFB object.

import { list } from "./recordings.js";
import { play } from "./player.js";

const token = new URLSearchParams(location.hash.replace(/^#/, "")).get("token");

if (token) {
	play(token);
} else {
	list(new URL(location.href).searchParams.get("node") || "");
}

// A link to another replay changes the fragment only.
window.addEventListener("hashchange", () => location.reload());
