/** The walls of the house (ARCHITECTURE.md). `npm run check:imports` fails when this read no module. */
const only = (name, from, to) => ({
  name,
  severity: 'error',
  from: { path: from },
  to: { path: '^src/', pathNot: to },
});

module.exports = {
  forbidden: [
    only('domain-imports-nothing-of-ours', '^src/domain/', '^src/domain/'),
    only('reconciler-imports-domain', '^src/reconciler/', '^src/(reconciler|domain)/'),
    only('providers-implement-ports', '^src/providers/', '^src/(providers|domain|reconciler/ports)'),
    only('store-implements-ports', '^src/store/', '^src/(store|domain|reconciler/ports)'),
    only('vault-implements-ports', '^src/vault/', '^src/(vault|domain|reconciler/ports)'),
    only('api-sees-commands', '^src/api/', '^src/(api|domain|reconciler/commands)'),
    only('cli-sees-commands', '^src/cli/', '^src/(cli|domain|reconciler/commands)'),
    only('simulator-stands-alone', '^src/simulator/', '^src/simulator/'),
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(node_modules|dist)' },
  },
};
