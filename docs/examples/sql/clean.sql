-- One row per order, with the country of its customer.
select
    orders.order_id::bigint as order_id,
    orders.customer::varchar as customer,
    customers.country::varchar as country,
    orders.ordered_at::timestamp as ordered_at,
    orders.items::double as items,
    orders.value::double as value
from orders
join customers on customers.name = orders.customer
order by order_id
