// What a console page's address says. Addresses come from this service, from
// Nova and from Horizon, which write them differently; what is not known here
// is ignored.

// parse returns where to connect and what to show:
//
//	socket  the websocket's URL
//	probe   the same as an http URL
//	page    this page's URL with all of that in its query, where the server
//	        sees it
//	token   the token, "" where none is seen: a cookie may have it
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
	return {
		socket: socket.href, probe: probe.href, page: seen.href, token: probe.searchParams.get("token") || "",
		title: param("title"), view: param("mode") === "view",
	};
}

// withToken returns a console page's address with another token in the place
// of the one that it has.
export function withToken(href, token) {
	const page = new URL(href);
	const replace = (params) => {
		if (params.get("token")) {
			params.set("token", token);
		}
		const [path, query] = (params.get("path") || "").split("?");
		const inner = new URLSearchParams(query);
		if (inner.get("token")) {
			inner.set("token", token);
			params.set("path", `${path}?${inner}`);
		}
		return params;
	};
	page.search = replace(page.searchParams);
	const mark = /^#?\??/.exec(page.hash)[0];
	const rest = page.hash.slice(mark.length);
	page.hash = rest && mark + replace(new URLSearchParams(rest));
	return page.href;
}

// claims is what a token of this service says: node, mode, iat and exp, and
// what else it carries. It is null for a token of another kind, as Nova's are.
// Nothing is checked: that is for the service to do.
export function claims(token) {
	const body = /^v4\.public\.([\w-]+)/.exec(token);
	if (!body) {
		return null;
	}
	try {
		const bytes = Uint8Array.from(atob(body[1].replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
		const said = JSON.parse(new TextDecoder().decode(bytes.slice(0, -64))); // a signature of 64 bytes follows
		return typeof said.node === "string" && said.node ? said : null;
	} catch {
		return null;
	}
}
