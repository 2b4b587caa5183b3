// Deliberate mistakes in the unit that the checks have to catch.
export const unitMistakes = [
  { find: 'ExecStart=/usr/bin/colloquy', replace: 'ExecStart=/usr/bin/colloqui', caught: /not executable/ },
  { find: 'TimeoutStopSec=60', replace: 'TimeoutStop=60', caught: /Unknown key 'TimeoutStop'/ },
  { find: 'Type=exec', replace: 'Type=execute', caught: /Failed to parse service type/ },
  { find: 'SystemCallFilter=@system-service', replace: 'SystemCallFilter=@system-services', caught: /unknown|Failed to parse|Unknown/i },
  { find: 'After=network-online.target', replace: 'After=network online', caught: /Failed to add dependency|Invalid/ },
  { find: 'ProtectSystem=strict', replace: 'ProtectSystem=no', caught: /exposure/i },
  { find: 'User=colloquy', replace: 'User=root', caught: /exposure/i },
  { find: 'CapabilityBoundingSet=\n', replace: '', caught: /exposure/i },
  { find: 'NoNewPrivileges=yes', replace: 'NoNewPrivileges=no', caught: /exposure/i },
];
