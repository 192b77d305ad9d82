/** A user of whatever uid it was started as, who takes what it is told to. argv: runtime directory. */
import type { QuotaDimension } from '@leasehold/broker';
import { QuotaUser } from '../quotas/quota-user.ts';
import { serveQuestions } from '../support/worker-side.ts';

const [, , runtimeDir = ''] = process.argv;
const user = await QuotaUser.open(runtimeDir);

serveQuestions((dimension: QuotaDimension | 'ready') => (dimension === 'ready' ? null : user.take(dimension)));
