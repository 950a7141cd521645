import { DAY, wireTime } from '../time.ts';
import type { Reply } from '../wire.ts';
import type { ConsoleKind, UmbrellaCustomer } from './console.ts';
import { refusal } from './errors.ts';
import type { UmbrellaContext, UmbrellaOperation } from './operation.ts';

const MAX_LIMIT = 100;

/** MSP and MSSP consoles have each their own path and shape; neither tells the mapping (domain.md §2). */
function shown(kind: ConsoleKind, customer: UmbrellaCustomer) {
  const { customerId, customerName, seats } = customer;
  if (kind === 'msp') return { customerId, customerName, seats };
  return {
    customerId,
    customerName,
    licenseType: 'subscription',
    packageName: 'Umbrella MSSP',
    seats,
    streetAddress: '1 Example Street',
    city: 'Springfield',
    state: 'IL',
    countryCode: 'US',
    zipCode: '62701',
    packageId: 246,
    adminEmails: ['admin@example.com'],
  };
}

function list(kind: ConsoleKind, { world, console, call }: UmbrellaContext): Reply {
  const page = Number(call.query['page'] ?? 1);
  const limit = Number(call.query['limit'] ?? MAX_LIMIT);
  const valid =
    Number.isInteger(page) && Number.isInteger(limit) && page >= 1 && limit >= 1 && limit <= MAX_LIMIT;
  if (!valid) return refusal('customers', 400, 'page must be at least 1, limit from 1 to 100');
  const customers = world.withoutStale([...console.customers.values()]);
  const shownOnPage = customers.slice((page - 1) * limit, page * limit);
  return { status: 200, body: shownOnPage.map((customer) => shown(kind, customer)) };
}

function one(kind: ConsoleKind, { console, parameters }: UmbrellaContext): Reply {
  const customer = console.customers.get(Number(parameters[0]));
  if (customer === undefined) return refusal('customers', 404, 'Customer not found');
  return { status: 200, body: shown(kind, customer) };
}

function operations(kind: ConsoleKind, template: string): UmbrellaOperation[] {
  const only = (run: typeof list) => (context: UmbrellaContext) =>
    context.console.kind === kind
      ? run(kind, context)
      : refusal('customers', 403, 'The organization is not of this type');
  const common = {
    method: 'GET',
    scope: 'admin.customers:read',
    quota: 'customers',
    shape: 'customers',
  } as const;
  return [
    { ...common, template, run: only(list) },
    { ...common, template: `${template}/{customerId}`, run: only(one) },
  ];
}

function consoleState({ console, now }: UmbrellaContext): Reply {
  const customers = [...console.customers.values()];
  const seatsUsed = customers.reduce((sum, customer) => sum + customer.seats, 0);
  return {
    status: 200,
    body: {
      packageName: console.options.packageName,
      seatsTotal: seatsUsed + 100,
      seatsUsed,
      customerCount: customers.length,
      status: console.options.status,
      rebillAt: wireTime(now.getTime() + 30 * DAY),
      expiresAt: console.options.expiresAt,
    },
  };
}

/** Customers of both kinds of console, and the console's subscription. */
export const customerOperations: readonly UmbrellaOperation[] = [
  ...operations('msp', '/admin/v2/managed/customers'),
  ...operations('mssp', '/admin/v2/providers/customers'),
  {
    method: 'GET',
    template: '/reports/v2/providers/consoles',
    scope: 'reports.customers:read',
    quota: 'consoles',
    shape: 'auth',
    run: consoleState,
  },
];
