"""What the product promises: one id per promise, with where it was made and what it says.

A test carries the ids it proves as `@pytest.mark.requirement("id", …)`. tests/shape holds the
suite to this list in both directions: no promise without a test, no wire test without a promise.
Ids are `subject:matter:claim`; one that starts with an adapter's name is that adapter's promise.
"""

from __future__ import annotations

from typing import NamedTuple

# A line `# source` heads the promises made there; an indented line goes on with the one above.
_PROMISES = """
# article Malomo to Claude, core tools
malomo:tools:complete  All 21 Malomo tools are listed, under the names and endpoints of the
    inventory.

# article Malomo to Claude, destructive array updates
malomo:shipments:kept  Adding a shipment to an order keeps every shipment that was there.
malomo:shipments:omitted  An update that names no shipments loses none, whatever the provider
    makes of silence.
malomo:shipments:empty  An empty list of shipments removes nothing.
malomo:shipments:removed-by-name  Only the pairs named in remove_shipments are removed; an unknown
    pair stops the update.
malomo:shipments:explained  The update tool's description tells the model how shipments are merged
    and removed.

# public contract, Malomo's shipments
malomo:shipments:parallel  Additions made at the same moment, through one server or several, all
    stay.
malomo:shipments:failed-read  When the stored order cannot be read, nothing is written.
malomo:shipments:verified  The write is proved by reading the order back, not by the answer to the
    write.
malomo:shipments:unknown-outcome  A lost answer to the write is settled by a read or reported; the
    write is not repeated.

# article Malomo to Claude, multi-key look-ups
malomo:lookups:tracking-code  An order is found by its carrier's tracking code.
malomo:lookups:alternate-id  An order is found by the merchant's alternate id.
malomo:lookups:number  An order is found by its shop number.
malomo:lookups:one-record  A look-up gives one order or not_found, whether the provider answers an
    object or a list.

# article Malomo to Claude, list_all_malomo_orders
malomo:orders:filters  Orders are filtered by alternate_id, tracking_code, number and
    customer_email.

# public contract, tools
malomo:orders:ignored-filter  Records that miss a filter which the provider ignored are dropped,
    and that is said.

# article Malomo to Claude, FAQ on pagination
malomo:orders:every-one-once  Walking the orders with any limit meets every order exactly once.

# article Malomo to Claude, list_all_malomo_order_events
malomo:events:history  An order's events come complete, so that a timeline can be told from them.

# article Malomo to Claude, create_a_malomo_webhook
malomo:webhooks:created  A webhook subscription is created with the topic and URL that were asked
    for.

# article Malomo to Claude, scenario 1
malomo:workflow:lost-shipment  From an e-mail address an agent finds the order and the place of
    its last scan.

# article Malomo to Claude, update_a_malomo_order_by_id
malomo:workflow:add-shipment  An agent adds a FedEx shipment to order 89123 and its USPS shipment
    is still there.

# article Malomo to Claude, scenario 2
malomo:workflow:webhook-audit  An agent lists the webhooks, sees that a topic is missing and
    creates it.

# article Rose Rocket to Claude and article Rose Rocket to ChatGPT, hero tools
roserocket:tools:complete  All 19 Rose Rocket tools are listed, under the names and endpoints of
    the inventory.

# article Rose Rocket to Claude, list_all_roserocket_objects
roserocket:objects:search  Records of one object type are searched and filtered, with no board id
    given.

# article Rose Rocket to ChatGPT, the polymorphic object model
roserocket:objects:any-case  An object key is understood in any case and in either spelling of its
    argument.

# article Rose Rocket to Claude, polymorphic object endpoints
roserocket:objects:typed  The model is told the fields of each documented object type.

# article Rose Rocket to ChatGPT, update_a_roserocket_object_by_id
roserocket:objects:partial-update  An update changes the given fields and leaves the others.

# public contract, tools
roserocket:objects:partial-success  Fields that the provider did not take are told to the model
    beside the saved record.

# article Rose Rocket to Claude, external ID state management
roserocket:external:found  A record is found by the id that another system gave it, whatever
    characters it holds.

# article Rose Rocket to Claude, list_all_roserocket_events
roserocket:events:history  A record's event history comes in order of time.

# article Rose Rocket to Claude, create_a_roserocket_event
roserocket:events:delay-note  A delay written as the article writes it becomes an event that the
    provider accepts.
roserocket:events:board-found  An event needs no board id: the board of the record's type is
    found.

# article Rose Rocket to Claude, list_all_roserocket_boards
roserocket:boards:by-object-key  Boards are listed and narrowed by object key.

# article Rose Rocket to Claude, roserocket_user_groups_search
roserocket:groups:search  A user group is found by its name, also through a server that may only
    read.

# article Rose Rocket to ChatGPT, update_a_roserocket_user_group_member_by_id
roserocket:members:moved  Users are added to and removed from a group in one call.

# article Rose Rocket to Claude, generating a server
roserocket:auth:token-renewed  OAuth tokens are fetched, shared and renewed without the agent
    taking part.

# article Rose Rocket to Claude, workflow 1
roserocket:workflow:delay-resolution  An agent finds load ERP-9921, sees that no delay is logged
    and logs one.

# article Rose Rocket to Claude, workflow 2
roserocket:workflow:reassignment  An agent finds a user group and lists the tasks assigned to it.

# article Rose Rocket to ChatGPT, persona 1
roserocket:workflow:delay-investigation  An agent finds the order behind PO-5561, its status, and
    who noted what about it.

# article Rose Rocket to ChatGPT, persona 2
roserocket:workflow:shift-change  An agent moves two users from one group to another.

# article Malomo to Claude, method 2; article Rose Rocket to ChatGPT, connecting the server
server:url:self-contained  The URL alone is enough to connect, list the tools and call them.

# article Rose Rocket to ChatGPT, generating the server
server:url:one-account  A server reaches the one integrated account it was made for, and no other.

# article Malomo to Claude, method 2
server:create:answer  Creating a server answers its id, name, config, expiry and URL.
server:create:admin-alias  The /admin path that the article prints creates servers too.
server:create:authorised  Servers are created and shown to bearers of an API token only.
server:token:hashed  Only a keyed hash of the token is stored; the token is shown once.

# article Rose Rocket to Claude, method 2
server:create:documented-only  A server that would have no tool is refused, and what was withheld
    is named.

# public contract, admin API
server:create:filters-checked  A filter that is empty, unknown or misspelt is refused by the name
    of its field.
server:objects:scoped  config.objects names kinds of records, spelled as the provider does; tools of
                       other kinds are hidden, and mappers are told.
server:filters:both  Methods and tags must both allow a tool.
server:hidden:like-unknown  A hidden tool answers like an unknown one.

# article Malomo to Claude, FAQ on updates
server:methods:read  A server for reading neither lists nor runs a tool that writes.

# article Malomo to Claude, method filtering
server:methods:groups  read, write, custom and exact method names select tools, alone and mixed.

# article Malomo to Claude, tag filtering
server:tags:hide  A server with tags neither lists nor runs a tool without one of them.

# article Malomo to Claude, extra authentication
server:second-factor:required  With require_api_token_auth the URL is worth nothing without a
    valid API token.

# article Malomo to Claude, automatic expiration
server:expired:gone  From its last second on, a server answers 410 with the date, to every
    request.
server:expired:erased  What was stored of an expired server is deleted, but for the stub that
    explains the 410.

# public contract, HTTP surface
server:revoked:refused  A revoked server is refused like one that never was.

# article Rose Rocket to ChatGPT, zero caching
server:payload:not-kept  Nothing that a provider answers is kept on disk or reused for another
    call.

# article Malomo to Claude, generating a server
tools:documented:only  An endpoint without a documentation entry is not a tool.

# article Rose Rocket to Claude, how to generate a server
tools:documented:overlays  An operator replaces, adds or withholds the text of a tool without touching
    the package; endpoints and effects stay.
tools:documented:live  Tools follow the documentation at run time: an edited page shows in lists
    within about a second.

# article Malomo to Claude, core tools
tools:names:grammar  Tool names are snake_case and follow from adapter, resource and method.
tools:arguments:flat  Arguments are one flat set and reach path, query and body as documented.

# article Malomo to Claude, FAQ on schemas
tools:schema:described  Every tool has a description and a schema in which each argument is
    described.

# public contract, vocabulary
tools:effects:annotated  Each tool says whether it reads, writes or destroys, also in its MCP
    annotations.

# public contract, tools
tools:order:stable  Tools are listed in the same order every time.
tools:arguments:refused  A wrong, missing or unknown argument is named in the answer, and nothing
    is sent.
tools:arguments:null  null for an optional argument means that it was left out, and 2.0 is an
                      integer.
tools:arguments:repairable  A refusal names the argument, the rule and what would fit: all allowed
                            values, the nearest name, a call that has all that is required.
tools:arguments:bounded  Arguments have a most of bytes, values and depth; more is refused in words.
tools:schema:hosts  Schemas are shown in the form that every host takes.
tools:ids:one-segment  An id reaches the provider as exactly one encoded segment or value, or is
    refused.
tools:results:verbatim  A record reaches the agent value for value, big integers included, once.
tools:errors:typed  A failure says its kind, the provider's words, and whether trying again can
    help.
tools:result-format:chosen  A server's result_format decides between text, structured content and
    both.

# article Malomo to Claude, FAQ on pagination
tools:fields:cut  fields shows chosen paths of a record, undecoded; a list has a view of its own.
tools:budget:kept  A list ends early at its server's budget, and every record is shown once.
tools:paging:uniform  Every list tool takes limit and next_cursor and answers result, next_cursor
    and count.
tools:paging:cursor-unchanged  An invented, edited or borrowed cursor is refused with the advice
    to pass it unchanged.

# article Malomo to Claude, article Rose Rocket to Claude and article Rose Rocket to ChatGPT, rate limits
ratelimit:429:not-retried  A provider's 429 reaches the caller at once, after exactly one upstream
    request.
ratelimit:429:headers  It carries ratelimit-limit, ratelimit-remaining and ratelimit-reset as HTTP
    headers.

# public contract, rate limits
ratelimit:429:in-result  The same numbers stand in the result, where the model can read them.
ratelimit:forms:understood  Every header form that providers use becomes whole seconds from now;
    silence stays null.
ratelimit:success:passed-on  Limits that a successful answer carries are passed on too.

# public contract, tools
upstream:request:once  Nothing is sent twice, not even by the HTTP library on a dropped
    connection.
upstream:slow:deadline  A provider that does not answer becomes upstream_timeout within the
    deadline.
upstream:down:typed  A provider that cannot be reached becomes upstream_unreachable.
upstream:size:bounded  A huge answer, compressed or not, is cut off in bounded memory.
upstream:body:malformed  An answer that is not the JSON it should be becomes upstream_malformed.
upstream:redirect:not-followed  A redirect is reported and not followed, so no credential leaves
    the provider's host.

# public contract, config.toml
upstream:address:public  Private addresses are reached only where [upstream] allow_private names
    them.

# public contract, HTTP surface
door:token:unknown  Unknown, malformed and revoked tokens get the same 403, byte for byte.
door:token:missing  No token at all gets 401.
door:token:bearer  The token is also taken as a bearer token, which keeps it out of URLs.
door:token:never-logged  No token and no credential stands in a log line, an error or a redirect.
door:well-known:quiet  Clients that probe /.well-known paths get a quick 404 in JSON.
door:health:open  /healthz and /readyz answer without a token and show no secret.

# Model Context Protocol, security of Streamable HTTP
door:origin:checked  A request from a foreign Origin is refused with 403.
door:host:checked  A request for a foreign Host is refused, so a rebound name reaches nothing.
security:approval:once  A human's approval lets one call through: at the same moment, after a
    restart, and after any number of others.
security:approval:shown  What is destroyed stands first and whole in the question, or the call is
    refused; no value can hide it or pass for words of the gateway.
security:slots:asking  A call that waits for a human holds no slot, and how many may wait is bounded.
security:slots:fair  No account takes the slots or the connections of another.
security:guessing:slow  Wrong API tokens are counted by address and put off, each is written down
    with where it came from, no path leads around it, and a weak admin token stops the start.
security:unread:bounded  Answers that clients do not read keep their slots, hold bounded memory and end in time.
security:connections:bounded  A request's head has to come in time, and connections are bounded.
security:second-factor:bound  A server opens only to the API tokens that count for it, and the call
    log names the one that was used.
security:changes:told  The call log says what an operator changed, from what to what, who and from
    where, and never a secret.
security:credentials:stay  Whoever leads an account's credentials to another host has to give them
    again, whichever way the host changes.
security:loop:watched  Whoever keeps the event loop from turning is named in the log and counted.
security:loop:yields  No adapter's loop over records keeps the event loop from turning.
security:replay:shares  What is kept for one server's clients takes no room of another's.
security:answers:unkept  No answer may be kept by a cache, and none names the libraries behind it.
security:hostile:answered  Every malformed thing gets one defined answer, never a 5xx, and the next
    good request is served.

# public contract, config.toml
door:body:bounded  A request body above the limit is refused with 413, and one with an encoding
    with 415.

# public contract, adapters and plugins
door:plugin:isolated  A broken plugin is named with its reason while everything else serves.
authors:check  `crossdock check` tells every mistake at once, each by one rule with file, line, key
    and remedy; what it calls an error is not served.
authors:connected  An account is connected by a person at the provider: code with PKCE, a state good
    once, for one account, from a starter who may still do so, and exactly one redirect.
authors:docs  `crossdock docs` writes a page for each tool, in Markdown or as static HTML.
authors:declared  Schemes, further hosts, bodies, answers and pages do on the wire what adapter.toml
    declares of them, in every revision.

# article Malomo to Claude, connecting the server; public contract, HTTP surface
clients:one-url:both-eras  Clients of the newest revision and of older ones work at one and the
    same URL.

# article Malomo to Claude and article Rose Rocket to Claude, method B
clients:stdio:npx  A host that only starts processes reaches the URL through npx.

# public contract, commands
clients:bridge:both-eras  The bridge carries messages of both eras, with the headers, sessions and
    streams of each.
clients:bridge:refusal-told  A refusal reaches the local client as an error in the gateway's
    words.
clients:bridge:silent  The bridge never prints the URL or its token.

# public contract, HTTP surface
clients:connect-page:shown  A browser at the URL sees name, tools, expiry and the set-up of every
    client.
clients:connect-page:safe  The page holds no secret but its own URL, and runs nothing but its own
    script.

# article Malomo to Claude, connecting the server; article Rose Rocket to ChatGPT
clients:real:every-one  Real clients of every kind list, read and write at one URL, and are refused
    in words.
clients:real:nginx  They do so through the nginx configuration that is shipped, which logs no
    token.

# public contract, commands
clients:demo:one-command  crossdock demo gives a working URL for each installed adapter with a
    sandbox.

# Model Context Protocol 2024-11-05 to 2025-11-25, lifecycle
mcp:initialize:version-echoed  initialize echoes a served revision and offers another for one that
    is not.
mcp:initialize:honest  Only capabilities that work are declared.

# Model Context Protocol 2024-11-05 to 2025-11-25, ping
mcp:ping:empty  ping is answered with an empty result.

# Model Context Protocol, tools
mcp:tools:list  tools/list gives every granted tool with an object schema; a bad cursor is -32602.
mcp:tools:call  tools/call answers content that belongs to the request's id.

# Model Context Protocol, tools, error handling
mcp:tools:unknown  An unknown tool is the protocol error -32602.
mcp:tools:is-error  Bad arguments and provider failures are results with isError.

# Model Context Protocol, Streamable HTTP
mcp:notifications:accepted  A notification is accepted with 202 and an empty body, also an unknown
    one.
mcp:http:negotiation  A body that is not JSON is 415; Accept is read with lenience, and 406 is the
    last resort.

# Model Context Protocol, messages
mcp:jsonrpc:errors  Bad JSON, a bad message and an unknown method have their codes and statuses.
mcp:jsonrpc:ids  An answer carries the request's id unchanged, and none when it could not be read.

# Model Context Protocol 2024-11-05 to 2025-11-25, protocol version header
mcp:http:version-header  An older client's MCP-Protocol-Version header may be absent, but not an
    unknown one.

# Model Context Protocol 2026-07-28, versioning
mcp:era:from-body  The era of a request is decided from its body; a broken claim is never taken
    for old.
mcp2026:version:unsupported  A revision that is not served is 400 with -32022 and the list of
    those that are.

# Model Context Protocol 2026-07-28, server/discover
mcp2026:discover:answers  server/discover names the served revisions and the capabilities.

# Model Context Protocol 2026-07-28, request metadata
mcp2026:meta:required  A request whose required metadata is missing or malformed is 400 with
    -32602.

# Model Context Protocol 2026-07-28, Streamable HTTP
mcp2026:headers:match  Headers that are missing, doubled or differ from the body are 400 with
    -32020.
mcp2026:methods:removed  Methods that the revision removed are 404 with -32601; GET and DELETE are
    405.
mcp2026:stateless:always  No request needs an earlier one, and no session id is made or returned.

# Model Context Protocol 2025-03-26, batching
mcp:batches:2025-03-26  A batch is answered in the revision that has batches, and refused as a whole
    elsewhere.

# Model Context Protocol, Streamable HTTP, sending messages
mcp:streams:json-first  An answer is JSON until something must be said before it; then it is an event
    stream.
mcp:streams:quiet  A stream that is silent for long says that it is there.
mcp:streams:end-with-server  Streams end when their server or URL is revoked, replaced or expired.

# Model Context Protocol, progress
mcp:progress:forwards  Progress is told to who asked for it, and its value only rises.

# Model Context Protocol, logging
mcp:logging:wanted-only  Log messages go to who wants them, from the wanted level upwards.

# Model Context Protocol, tools, content
mcp:content:projected  Content that a revision does not know becomes words; bad content is the
    adapter's fault.

# Model Context Protocol 2025-03-26 to 2025-11-25, sessions
mcp:sessions:optional  initialize gives a session, no error does, and nothing needs it.
mcp:sessions:signed  A session that was changed, invented or is another server's is 404.
mcp:sessions:ended  A session ends with DELETE or in time; it is 404 afterwards.

# Model Context Protocol 2025-03-26 to 2025-11-25, resumability
mcp:resume:last-event-id  The rest of a broken stream is fetched with Last-Event-ID while the call goes
    on.
mcp:resume:own-only  A stream can be resumed by its own session alone.
mcp:resume:bounded  What is kept for clients that come back is bounded in number, size and time.

# Model Context Protocol 2024-11-05 to 2025-11-25, cancellation
mcp:cancel:notification  A cancelled call stops and gets no answer; a write that was sent goes on.

# Model Context Protocol 2026-07-28, cancellation
mcp2026:cancel:disconnect  Hanging up cancels a call; so it does in older revisions where nothing can be
    resumed.

# Model Context Protocol, tools, list changed
mcp:list-changed:told  Who listens is told when the list of tools is another one.

# Model Context Protocol 2026-07-28, subscriptions
mcp2026:listen:acknowledged  A subscription is acknowledged with what is honoured, and hears of nothing
    else.

# Model Context Protocol 2024-11-05, HTTP with SSE
mcp:sse:same-url  The oldest transport works at the same URL and at its customary paths.
mcp:sse:refusals  What the oldest transport cannot take is refused with a status of its own.

# Model Context Protocol 2025-06-18 and 2025-11-25, elicitation
mcp:ask:elicitation  A human is asked on the stream of the call, and only the asked client answers.
mcp:ask:cannot  Where a client cannot be asked, the call is refused in words and nothing is sent.

# Model Context Protocol 2026-07-28, multi round-trip requests
mcp2026:ask:input-required  A question is the result of the call, which comes again with the answer.
mcp2026:ask:state  A state is signed, of one call, ends in time and lets a write go on once.

# Model Context Protocol 2026-07-28, custom headers
mcp2026:headers:param  Headers that repeat arguments say what the arguments say.

# public contract, admin API
account:credentials:write-only  A credential goes in, is sealed, and is never shown again.
account:fields:named  What an adapter's account cannot have is refused by the name of its field.
account:status:needs-reauth  An account whose credentials the provider refuses says so until they
    work again.
account:config:read-only  Accounts of config.toml are shown, and changed only there.
roles:table:enforced  Every admin route asks for the role that the contract gives it, and no other
    route exists.
server:rotate:overlap  A rotated server has a new URL; the old one ends at once, or after the
    overlap that was asked for.
server:upgrade:pending  Tools that an upgrade of the adapter brings wait until they are accepted.
server:networks:bound  A server with allowed_ips is used from those networks only.
server:discovery:three-tools  With discovery three tools search for, describe and run the others,
    within the filters.
admin:openapi:true  The OpenAPI document describes every admin route and what it answers.
admin:storage:told  When the store cannot be written, admin requests say so and calls go on.

# public contract, commands
cli:verbs:complete  The commands do what the admin API does, with the exit codes of the contract.
cli:doctor:remedy  The doctor names what is wrong and what to do.
audit:lines:no-content  The call log says who did what and how it ended, and no word of what was
    said.

supply:parts:known  What is installed is locked by hash, listed, and checked for known faults.
audit:lines:none-lost  Every finished call is in the call log; where it cannot be, calls are held back.

# issue 4, done when
keys:rotate:online  Keys are rotated while calls and changes go on, and no URL ends by it.
store:kill:nothing-lost  What was acknowledged survives kill -9 at any moment.

# public contract, admin API
server:confirm:destructive  A server with confirm asks a human before something is destroyed.

# issue 12, rolling restart
nodes:stop:answered  Whoever is connected when a stop begins is answered and told to close the
    connection; calls that run get to end, and nobody new is let in.
nodes:stop:rolling  Nodes restarted one by one behind nginx under load fail no call.
nodes:workers:replaced  Workers are replaced on SIGHUP, new before old, without a failed call;
    one that died is started again.
nodes:workers:one-metrics  Whichever worker is asked, /metrics has the numbers of all.
nodes:workers:deaths  Five deaths of workers within a minute end all, in words.
nodes:orders:parallel  Twenty additions to one order at once, through any nodes, all stay.
nodes:orders:killed  A node killed in the middle of additions loses none that was acknowledged.
nodes:orders:late  A write that a killed node has sent and that comes late wipes out nothing.
nodes:orders:random  After changes and faults at random there is what was acknowledged.
nodes:grants:everywhere  A URL is known and dead at every node within a second.
nodes:audit:complete  The call log has every call once, also after a rolling restart.
nodes:engines:away  Without Redis everything but what crosses nodes goes on; without PostgreSQL
    reads go on for a while and nothing is written unguarded; both come back by themselves.
nodes:doctor:differences  The doctor names who serves, what differs between them, and whether
    the sums fit.
nodes:clients:every-era  Official clients of every era work with several nodes behind a proxy that
    does not stick.
nodes:backup:restored  A backup made as the guide says is restored as it says, on either engine, and the
    URLs of then work.
nodes:operators:read-their-writes  What an operator wrote through one process, the next one that is asked knows.
nodes:stop:streams  Streams are told when to come back, each at another moment, and the oldest
    transport gets the answers that it waits for.

# the reference servers, as they were probed
mcp:peers:deviations  Where the reference servers deviate, the better behaviour is ours.
mcp:peers:conformance  The official suite fails in nothing but what a gateway of tools does not
    declare.

# Model Context Protocol 2026-07-28, results
mcp2026:results:marked  Every result carries resultType, lists carry ttlMs and cacheScope.
"""


class Requirement(NamedTuple):
    """A promise: the document and section that makes it, and one sentence that can be true."""

    source: str
    sentence: str


def _read(text: str) -> dict[str, Requirement]:
    found: dict[str, Requirement] = {}
    source = ""
    for line in text.replace("\n    ", " ").splitlines():
        if line.startswith("# "):
            source = line[2:]
        elif line:
            name, _, sentence = line.partition("  ")
            if name in found:
                raise ValueError(f"{name} is promised twice")
            found[name] = Requirement(source, sentence)
    return found


REQUIREMENTS = _read(_PROMISES)
