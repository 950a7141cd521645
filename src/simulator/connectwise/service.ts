import type { Reply } from '../wire.ts';
import { freshInfo, touch, type Ticket } from './company.ts';
import { invalidObject, notFound } from './errors.ts';
import { FIELDS } from './field-names.ts';
import { itemReply, listReply, mine } from './list.ts';
import type { Context, Need, Operation } from './operation.ts';
import { readObject, readPatch } from './patch.ts';
import { BOARD_STATUSES } from './reference-data.ts';

const BOARDS: Need = { on: 'System/Table Setup', kind: 'inquire', item: 'Service / Service Board' };
const PRIORITIES: Need = { on: 'System/Table Setup', kind: 'inquire', item: 'Service / Priority' };

function tickets(kind: Need['kind']): Need {
  return { on: 'Service Desk/Service Tickets', kind };
}

function ticket(context: Context): Ticket {
  const id = context.parameters[0] ?? '';
  const found = context.company.tickets.get(Number(id));
  if (found === undefined || !mine(context, found)) throw notFound('ticket', id);
  return found;
}

function createTicket(context: Context): Reply {
  const { summary, company, board, ...rest } = readObject('ticket', context.body);
  const { id: companyId, identifier } = (company ?? {}) as { id?: unknown; identifier?: unknown };
  const customer = context.company.companies.find(
    (one) => one.id === companyId || (companyId === undefined && one.identifier === identifier),
  );
  if (typeof summary !== 'string' || summary === '' || summary.length > 100 || customer === undefined) {
    const field = customer === undefined ? 'company' : 'summary';
    throw invalidObject('ticket', [{ code: 'InvalidField', message: `${field} is not valid`, field }]);
  }
  const chosen = boardNamed(context, board);
  if (chosen === undefined) {
    throw invalidObject('ticket', [
      { code: 'InvalidField', message: 'board does not exist', field: 'board' },
    ]);
  }
  const status = BOARD_STATUSES.find((one) => one.board.id === chosen.id && one.defaultFlag);
  const created = context.company.tickets.insert({
    recordType: 'ServiceTicket',
    closedFlag: false,
    ...(status === undefined ? {} : { status: { id: status.id, name: status.name } }),
    ...rest,
    summary,
    board: { id: chosen.id, name: chosen.name },
    company: { id: customer.id, identifier: customer.identifier, name: customer.name },
    _info: freshInfo(context.now, context.member.identifier),
  });
  context.onCreated(created);
  return { status: 201, body: created };
}

/** The board that a reference names by id or by name; the first one when the ticket names none. */
function boardNamed(context: Context, reference: unknown) {
  const { id, name } = (reference ?? {}) as { id?: unknown; name?: unknown };
  if (id === undefined && name === undefined) return context.company.boards[0];
  return context.company.boards.find((one) => (id === undefined ? one.name === name : one.id === id));
}

function patchTicket(context: Context): Reply {
  const found = ticket(context);
  for (const [field, value] of readPatch('ticket', context.body, FIELDS.Ticket)) found[field] = value;
  const status = found['status'] as { id?: number } | undefined;
  found['closedFlag'] = BOARD_STATUSES.find((one) => one.id === status?.id)?.closedStatus ?? false;
  touch(found, context.now, context.member.identifier);
  return { status: 200, body: found };
}

function createNote(context: Context): Reply {
  const parent = ticket(context);
  const { text, ...rest } = readObject('serviceNote', context.body);
  if (typeof text !== 'string' || text === '') {
    throw invalidObject('serviceNote', [
      { code: 'MissingRequired', message: 'text is required', field: 'text' },
    ]);
  }
  const info = freshInfo(context.now, context.member.identifier);
  const created = context.company.ticketNotes.insert({
    ...rest,
    ticketId: parent.id,
    text,
    dateCreated: info.dateEntered,
    createdBy: info.enteredBy,
    _info: info,
  });
  context.onCreated(created);
  return { status: 201, body: created };
}

function notes(context: Context): Reply {
  const { id } = ticket(context);
  const rows = context.company.ticketNotes.values().filter((note) => note.ticketId === id);
  return listReply(context, rows, FIELDS.ServiceNote);
}

function statuses(context: Context): Reply {
  const boardId = Number(context.parameters[0]);
  if (!context.company.boards.some((board) => board.id === boardId)) throw notFound('board', boardId);
  return listReply(
    context,
    BOARD_STATUSES.filter((status) => status.board.id === boardId),
    FIELDS.BoardStatus,
  );
}

/** Everything below `/service`. */
export const serviceOperations: readonly Operation[] = [
  {
    method: 'GET',
    template: '/service/tickets',
    need: tickets('inquire'),
    run: (context) => listReply(context, context.company.tickets.values(), FIELDS.Ticket),
  },
  {
    method: 'GET',
    template: '/service/tickets/{id}',
    need: tickets('inquire'),
    run: (context) => itemReply(context, ticket(context), 'ticket', FIELDS.Ticket),
  },
  { method: 'POST', template: '/service/tickets', need: tickets('add'), run: createTicket },
  { method: 'PATCH', template: '/service/tickets/{id}', need: tickets('edit'), run: patchTicket },
  { method: 'GET', template: '/service/tickets/{parentId}/notes', need: tickets('inquire'), run: notes },
  { method: 'POST', template: '/service/tickets/{parentId}/notes', need: tickets('edit'), run: createNote },
  {
    method: 'GET',
    template: '/service/boards',
    need: BOARDS,
    run: (context) => listReply(context, context.company.boards, FIELDS.Board),
  },
  { method: 'GET', template: '/service/boards/{parentId}/statuses', need: BOARDS, run: statuses },
  {
    method: 'GET',
    template: '/service/priorities',
    need: PRIORITIES,
    run: (context) => listReply(context, context.company.priorities, FIELDS.Priority),
  },
];
