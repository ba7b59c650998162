// The service's HTTP API, as the pages use it. Addresses are relative to the
// page, so that the service may stand below a path of another server.

const base = new URL("./", document.baseURI);
const tokenKey = "ironglass.api-token";

// Refused is thrown where the service answered with something other than
// success. Its message is the service's own sentence for a person.
export class Refused extends Error {
	constructor(status, problem) {
		super(problem.detail || problem.title || `The service answered with status ${status}.`);
		this.name = "Refused";
		this.status = status;
		this.title = problem.title || "";
		this.code = problem.code || "";
		this.problem = problem;
	}
}

// Unreachable is thrown where no answer came.
export class Unreachable extends Error {
	constructor(cause) {
		super("The service does not answer.", { cause });
		this.name = "Unreachable";
	}
}

// credential is the API token that was given in this tab, "" without one.
export const credential = {
	get() {
		try {
			return sessionStorage.getItem(tokenKey) || this.kept;
		} catch {
			return this.kept;
		}
	},
	set(token) {
		this.kept = token;
		try {
			if (token) {
				sessionStorage.setItem(tokenKey, token);
			} else {
				sessionStorage.removeItem(tokenKey);
			}
		} catch {
			// Without storage it holds until the page is loaded anew.
		}
	},
	kept: "",
};

// request sends one request and returns its response, which is a success.
// token is what opens the API, by default the credential of this tab.
export async function request(path, { method = "GET", body, signal, headers = {}, token = credential.get() } = {}) {
	if (token) {
		headers.Authorization = `Bearer ${token}`;
	}
	if (body !== undefined) {
		headers["Content-Type"] = "application/json";
	}
	let response;
	try {
		response = await fetch(new URL(path, base), {
			method, headers, signal,
			body: body === undefined ? undefined : JSON.stringify(body),
			cache: "no-store", credentials: "same-origin", redirect: "error",
		});
	} catch (err) {
		if (err.name === "AbortError") {
			throw err;
		}
		throw new Unreachable(err);
	}
	if (!response.ok) {
		throw new Refused(response.status, await problemOf(response));
	}
	return response;
}

// problemOf reads an application/problem+json body; {} for any other.
export async function problemOf(response) {
	if (!/\bjson\b/.test(response.headers.get("Content-Type") || "")) {
		return {};
	}
	try {
		return await response.json() || {};
	} catch {
		return {};
	}
}

// nodePath is the API's address of a node, with what lies below it.
export function nodePath(node, below) {
	return `v1/nodes/${encodeURIComponent(node)}/${below}`;
}

// nodes lists the nodes with the state of their consoles.
export async function nodes(signal) {
	const answer = await (await request("v1/nodes", { signal })).json();
	return Array.isArray(answer.nodes) ? answer.nodes : [];
}

// openConsole asks for a token for a node's console; mode is "operate" or
// "view". Who has the API may decide about seats, and may so with the token
// too. It returns the address of the console page.
export async function openConsole(node, mode) {
	const response = await request(nodePath(node, "console/tokens"), {
		method: "POST", body: { mode, ttl: "10m", admin: mode === "operate" },
	});
	const { url } = await response.json();
	const page = new URL(url, base);
	if (page.protocol !== "http:" && page.protocol !== "https:") {
		throw new Refused(response.status, { detail: "The service gave an address that is no web page." });
	}
	if (mode === "view") {
		page.searchParams.set("mode", "view");
	}
	page.searchParams.set("title", node);
	return page.href;
}

// screenshot is a live console's picture as a Blob. It starts nothing.
export async function screenshot(node, width, signal) {
	return (await request(nodePath(node, `console/screenshot?width=${width}&start=false`), { signal })).blob();
}

// events opens the stream of what happens to the nodes.
export function events(signal) {
	return request("v1/events", { signal, headers: { Accept: "text/event-stream" } });
}

// switchConsole switches a node's console on or off.
export async function switchConsole(node, enabled) {
	await request(nodePath(node, "states/console"), { method: "PUT", body: { enabled } });
}
