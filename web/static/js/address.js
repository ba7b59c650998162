// What a console page's address says. Addresses come from this service, from
// Nova and from Horizon, which write them differently; what is not known here
// is ignored.

// parse returns where to connect and what to show:
//
//	socket  the websocket's URL
//	probe   the same as an http URL
//	page    this page's URL with all of that in its query, where the server
//	        sees it
//	title   the name to show until the server says one, "" where none is given
//	view    whether the page was opened to look only
//
// It throws where the address names a place outside of this service: the
// token is for nobody else.
export function parse(href) {
	const page = new URL(href);
	const params = [page.searchParams, new URLSearchParams(page.hash.replace(/^#\??/, ""))];
	const param = (name) => params.map((p) => p.get(name)).find((value) => value) || "";

	const base = new URL("./", `${page.origin}${page.pathname}`);
	const probe = new URL(param("path") || "websockify", base);
	if (probe.origin !== page.origin) {
		throw new Error("The address of this page names a console on another server.");
	}
	if (param("token")) {
		probe.searchParams.set("token", param("token"));
	}
	probe.hash = "";
	const socket = new URL(probe);
	socket.protocol = page.protocol === "https:" ? "wss:" : "ws:";
	const seen = new URL(`${page.origin}${page.pathname}`);
	for (const name of ["token", "path"]) {
		if (param(name)) {
			seen.searchParams.set(name, param(name));
		}
	}
	return { socket: socket.href, probe: probe.href, page: seen.href, title: param("title"), view: param("mode") === "view" };
}
